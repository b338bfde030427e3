//! The threads of renewals, their clock, and their locks: a forked child needs none that it does not have.

use std::future::{pending, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::clock::{Clock, CoarseTime, SystemClock};
use keyfob::runtime::Runtime;
use tokio::runtime::{Builder, Handle};

use crate::runtime::caller;
use crate::runtime::critical_section::{CriticalSection, mark_rust_thread};

/// Locks a mutex even if another thread panicked: the values behind the mutexes of this crate are always consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The system's clock. It sleeps on the thread of a renewal, because a child would lack the thread of a shared timer.
#[derive(Default)]
pub(crate) struct RenewalClock(SystemClock);

impl Clock for RenewalClock {
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
                // A caller that waits for a renewal has a limit of its own, so it needs no timer here.
                Err(_) => pending().await,
            }
        })
    }
}

/// Runs each renewal on a thread of its own, which ends with the renewal.
pub(crate) struct RenewalThreads;

impl Runtime for RenewalThreads {
    fn spawn(&self, mut task: BoxFuture<'static, ()>) {
        // Captured here, because the cache spawns a renewal on the thread of the caller that needs the token.
        let caller = caller::capture();
        start("keyfob-renewal", move || match runtime().build() {
            Ok(runtime) => {
                caller::set(caller);
                runtime.block_on(poll_fn(|context| {
                    let _section = CriticalSection::enter();
                    task.as_mut().poll(context)
                }));
                let _section = CriticalSection::enter();
                drop(task);
                caller::set(None);
            }
            Err(error) => {
                tracing::error!(target: "keyfob", %error, "cannot start a renewal");
            }
        });
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        start("keyfob-source", work);
    }
}

/// The tokio runtime of one renewal, with I/O and time for servers and stores. Its own threads may log too.
fn runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().on_thread_start(mark_rust_thread);
    builder
}

/// Starts a thread. If the system refuses, the work is dropped, and its owner sees it as abandoned.
fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    let work = || {
        mark_rust_thread();
        work();
    };
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "cannot start a thread");
    }
}
