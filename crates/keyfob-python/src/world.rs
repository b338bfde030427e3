//! The clock and the threads that renewals run by: made so that a forked child needs nothing that it does not have.

use std::future::{pending, poll_fn};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::clock::{Clock, CoarseTime, SystemClock};
use keyfob::runtime::Runtime;
use tokio::runtime::{Builder, Handle};

use crate::inside::{Inside, is_rusts_thread};

/// The system's clock; pauses are those of the renewal's own thread.
#[derive(Default)]
pub(crate) struct OwnTimers(SystemClock);

impl Clock for OwnTimers {
    fn coarse_time(&self) -> CoarseTime {
        self.0.coarse_time()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            match Handle::try_current() {
                Ok(_) => tokio::time::sleep(pause).await,
                // Not a renewal, but one who waits for it; and those bring their own limit.
                Err(_) => pending().await,
            }
        })
    }
}

/// A thread for each renewal, which ends with it and keeps its own time: there is no thread that a child would lack.
pub(crate) struct Threads;

impl Runtime for Threads {
    fn spawn(&self, mut task: BoxFuture<'static, ()>) {
        start("keyfob-renewal", move || match runtime().build() {
            Ok(runtime) => {
                runtime.block_on(poll_fn(|context| {
                    let _inside = Inside::enter();
                    task.as_mut().poll(context)
                }));
                let _inside = Inside::enter();
                drop(task);
            }
            Err(error) => {
                tracing::error!(target: "keyfob", %error, "a renewal could not be started");
            }
        });
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        start("keyfob-source", work);
    }
}

/// For a renewal alone, with what a server or a store may need; its threads log, as those that are started here.
fn runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().on_thread_start(is_rusts_thread);
    builder
}

/// Where the system refuses a thread, the work is dropped, which its owner sees as abandoned.
fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    let work = || {
        is_rusts_thread();
        work();
    };
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
