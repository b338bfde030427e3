//! One thread for each piece of work, which ends with it: what there is without an async runtime.

use std::convert::Infallible;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

use crate::runtime::park::block_on;

pub(super) fn spawn(task: BoxFuture<'static, ()>) {
    start("keyfob-renewal", move || block_on(task));
}

pub(super) fn spawn_blocking(work: Box<dyn FnOnce() + Send>) {
    start("keyfob-hook", work);
}

pub(super) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    let (sender, receiver) = oneshot::channel();
    let (awaited, given_up) = mpsc::channel::<Infallible>();
    start("keyfob-timer", move || {
        // Nothing is ever sent: the thread sleeps for the pause, or until nobody waits for its end any more.
        if given_up.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            // Nobody waits any more if the receiver is gone.
            let _ = sender.send(());
        }
    });
    Box::pin(async move {
        let _awaited = awaited;
        // A sender that is dropped means that there was no thread: the pause is then skipped.
        let _ = receiver.await;
    })
}

/// Starts a thread; where the system refuses one, the work is dropped, which its owner sees as abandoned.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
