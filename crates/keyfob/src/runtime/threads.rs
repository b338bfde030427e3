//! One thread for each piece of work, which ends with it: what there is without an async runtime.

use std::thread;

use futures_util::future::BoxFuture;

use crate::runtime::park::block_on;
pub(super) use crate::runtime::timer::sleep;

pub(super) fn spawn(task: BoxFuture<'static, ()>) {
    start("keyfob-renewal", move || block_on(task));
}

pub(super) fn spawn_blocking(work: Box<dyn FnOnce() + Send>) {
    start("keyfob-hook", work);
}

/// Starts a thread; where the system refuses one, the work is dropped, which its owner sees as abandoned.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
