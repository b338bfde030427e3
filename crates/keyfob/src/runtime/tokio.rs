//! The caller's tokio runtime; where there is none, a thread with a small one, since async hooks may need its timers and sockets.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

use crate::runtime::{blocking_flag, threads, timer};

pub(super) fn spawn(task: BoxFuture<'static, ()>) {
    match Handle::try_current() {
        Ok(handle) if !waits_for_this_thread(&handle) => {
            handle.spawn(task);
        }
        _ => threads::start("keyfob-renewal", move || run_alone(task)),
    }
}

/// Whether nothing would run there, because its one thread may be this one, and blocks.
fn waits_for_this_thread(handle: &Handle) -> bool {
    blocking_flag::is_blocking() && handle.runtime_flavor() == RuntimeFlavor::CurrentThread
}

pub(super) fn spawn_blocking(work: Box<dyn FnOnce() + Send>) {
    match Handle::try_current() {
        Ok(handle) => {
            handle.spawn_blocking(work);
        }
        Err(_) => threads::spawn_blocking(work),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the timer that the system's clock sleeps by"
)]
pub(super) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    match Handle::try_current() {
        Ok(_) => Box::pin(tokio::time::sleep(pause)),
        Err(_) => timer::sleep(pause),
    }
}

fn run_alone(task: BoxFuture<'static, ()>) {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => {
            tracing::error!(target: "keyfob", %error, "no runtime could be started for a renewal")
        }
    }
}
