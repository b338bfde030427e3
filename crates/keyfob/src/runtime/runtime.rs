//! The port for background work, and its default: the caller's tokio runtime, or threads.

use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
#[cfg(feature = "tokio")]
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

use crate::runtime::{block_on, timer};

/// Runs tasks in the background, where no caller waits for them.
///
/// Both methods may be called from any thread, many times at once, and return at once. A task that the runtime drops
/// before its end, because it shuts down, counts as abandoned: the next caller of the cache starts another.
///
/// ```
/// use std::thread;
///
/// use keyfob::runtime::{BoxFuture, Runtime};
/// use keyfob::{EnvToken, TokenCache};
/// use tokio::runtime::Handle;
///
/// /// Runs renewals on one runtime, whichever thread asks for a token.
/// struct OnHandle(Handle);
///
/// impl Runtime for OnHandle {
///     fn spawn(&self, task: BoxFuture<'static, ()>) {
///         self.0.spawn(task);
///     }
///
///     fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
///         thread::spawn(work);
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # let handle = runtime.handle().clone();
/// let tokens = TokenCache::builder(EnvToken::new("API_TOKEN")).runtime(OnHandle(handle)).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs work that blocks its thread, where that delays no other task.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// Runs tasks on the caller's tokio runtime, or else each on a thread of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioOrThreads;

impl Runtime for TokioOrThreads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        #[cfg(feature = "tokio")]
        if let Some(handle) = current_runtime().filter(|handle| !is_blocked(handle)) {
            handle.spawn(task);
            return;
        }
        start_thread("keyfob-renewal", move || run(task));
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        #[cfg(feature = "tokio")]
        if let Some(handle) = current_runtime() {
            handle.spawn_blocking(work);
            return;
        }
        start_thread("keyfob-hook", work);
    }
}

/// Completes after the pause, by tokio's timer if the caller is on a tokio runtime that can run it, else by [`timer`].
#[cfg_attr(
    feature = "tokio",
    expect(
        clippy::disallowed_methods,
        reason = "the timer behind the system's clock"
    )
)]
pub(crate) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    #[cfg(feature = "tokio")]
    if current_runtime().is_some_and(|handle| !is_blocked(&handle)) {
        return Box::pin(tokio::time::sleep(pause));
    }
    timer::sleep(pause)
}

/// Runs blocking work in the background. Returns `None` if the work panicked or the runtime dropped it.
pub(crate) fn run_blocking<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, Option<T>> {
    let (sender, receiver) = oneshot::channel();
    runtime.spawn_blocking(Box::new(move || {
        // Sending fails if the caller no longer waits.
        let _ = sender.send(work());
    }));
    Box::pin(async { receiver.await.ok() })
}

#[cfg(feature = "tokio")]
fn current_runtime() -> Option<Handle> {
    Handle::try_current().ok()
}

/// Whether the runtime could not run a task now, because this thread is its only one and is in our `block_on`.
#[cfg(feature = "tokio")]
fn is_blocked(handle: &Handle) -> bool {
    block_on::is_blocking() && handle.runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// Runs a task on this thread, on a small tokio runtime, because async hooks may use tokio's timers and sockets.
#[cfg(feature = "tokio")]
fn run(task: BoxFuture<'static, ()>) {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => {
            tracing::error!(target: "keyfob", %error, "no runtime could be started for a renewal");
        }
    }
}

#[cfg(not(feature = "tokio"))]
fn run(task: BoxFuture<'static, ()>) {
    block_on::block_on(task);
}

/// Starts a thread. If the system refuses, the work is dropped, which its owner sees as abandoned.
fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
