//! Running something beside the caller: a renewal, a blocking hook, a pause.
//!
//! The cache never drives a fetch on a caller's future, so that a caller that goes away takes nothing with it. It asks a
//! [`Runtime`] to run the fetch; [`TokioOrThreads`] is the one for those who do not bring their own.

use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

#[cfg(feature = "tokio")]
use crate::runtime::tokio as ambient;
#[cfg(not(feature = "tokio"))]
use crate::runtime::without_tokio as ambient;

/// Where work runs that no caller waits for.
///
/// May be called from any thread, at any time, many times at once. A task that is dropped before its end, because the
/// runtime stops, counts as an attempt that was abandoned: the next caller starts another.
///
/// ```
/// use futures_util::future::BoxFuture;
/// use keyfob::runtime::Runtime;
///
/// struct Smol;
///
/// impl Runtime for Smol {
///     fn spawn(&self, task: BoxFuture<'static, ()>) {
///         # fn detach(_: BoxFuture<'static, ()>) {}
///         detach(task); // smol::spawn(task).detach()
///     }
///
///     fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
///         std::thread::spawn(work);
///     }
/// }
/// ```
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end, without the caller waiting for it.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs work that blocks its thread, where it holds up no other task.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// The tokio runtime of the calling task where there is one, and a thread that ends with the task where there is not.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioOrThreads;

impl Runtime for TokioOrThreads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        ambient::spawn(task);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        ambient::spawn_blocking(work);
    }
}

/// Completes after the pause: on the caller's tokio timer where there is one, else on a thread that all share who sleep.
pub(crate) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    ambient::sleep(pause)
}

/// Runs work that blocks beside the caller; `None` if it panicked or the runtime stopped.
pub(crate) fn run_blocking<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, Option<T>> {
    let (sender, receiver) = oneshot::channel();
    runtime.spawn_blocking(Box::new(move || {
        // Nobody waits any more if the receiver is gone.
        let _ = sender.send(work());
    }));
    Box::pin(async { receiver.await.ok() })
}
