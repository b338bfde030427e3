//! The port for background work, and its default: the caller's tokio runtime, or threads.

use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

use crate::runtime::{block_on, timer};

/// Runs tasks in the background, where no caller waits for them.
///
/// Its methods may be called from any thread, many times at once, and return at once. A task that the runtime drops
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

    /// Returns what spawns a task of this caller later, on another thread.
    ///
    /// A pool calls it for a renewal that may have to wait for its turn: another key's renewal starts it when it ends, perhaps on
    /// a runtime that is about to stop. `None`, the default, means that [`spawn`](Self::spawn) does the same on each thread.
    fn spawner(&self) -> Option<Spawner> {
        None
    }
}

/// Spawns a task where its caller wanted it. [`Runtime::spawner`] makes it.
pub type Spawner = Box<dyn FnOnce(BoxFuture<'static, ()>) + Send>;

/// Runs tasks on the caller's tokio runtime, or else each on a thread of its own. That thread also runs what the task starts.
///
/// [`Runtime`](crate::runtime::Runtime) has an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioOrThreads;

impl Runtime for TokioOrThreads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        if let Err(task) = callers::spawn(task) {
            spawn_thread(task);
        }
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        if let Err(work) = callers::spawn_blocking(work) {
            start_thread("keyfob-hook", work);
        }
    }

    fn spawner(&self) -> Option<Spawner> {
        Some(callers::spawner().unwrap_or_else(|| Box::new(spawn_thread)))
    }
}

/// Completes after the pause, by tokio's timer if the caller is on a tokio runtime that can run it, else by [`timer`].
pub(crate) fn sleep(pause: Duration) -> BoxFuture<'static, ()> {
    callers::sleep(pause).unwrap_or_else(|| timer::sleep(pause))
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

/// The tokio runtime of the caller, if it is on one. Each function returns what it cannot do there.
#[cfg(feature = "tokio")]
mod callers {
    use std::cell::RefCell;
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle, RuntimeFlavor};
    use tokio::task::JoinHandle;

    use super::{BoxFuture, Spawner, Work, block_on};

    thread_local! {
        /// The tasks that this thread has spawned since it last waited for them; `None` on threads of others.
        static SPAWNED: RefCell<Option<Vec<JoinHandle<()>>>> = const { RefCell::new(None) };
    }

    pub(super) fn spawn(task: BoxFuture<'static, ()>) -> Result<(), BoxFuture<'static, ()>> {
        match able() {
            Some(handle) => {
                let task = handle.spawn(task);
                SPAWNED.with_borrow_mut(|spawned| spawned.as_mut().map(|tasks| tasks.push(task)));
                Ok(())
            }
            None => Err(task),
        }
    }

    /// Not the small runtime of a thread that we started: it ends with the tasks that were spawned until then.
    pub(super) fn spawner() -> Option<Spawner> {
        let handle = able().filter(|_| SPAWNED.with_borrow(Option::is_none))?;
        Some(Box::new(move |task| drop(handle.spawn(task))))
    }

    pub(super) fn spawn_blocking(work: Work) -> Result<(), Work> {
        match Handle::try_current() {
            Ok(handle) => {
                handle.spawn_blocking(work);
                Ok(())
            }
            Err(_) => Err(work),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the timer behind the system's clock"
    )]
    pub(super) fn sleep(pause: Duration) -> Option<BoxFuture<'static, ()>> {
        able()?;
        Some(Box::pin(tokio::time::sleep(pause)))
    }

    /// Runs a task on this thread, on a small tokio runtime, because async hooks may use tokio's timers and sockets.
    pub(super) fn run(task: BoxFuture<'static, ()>) {
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                SPAWNED.set(Some(Vec::new()));
                runtime.block_on(task);
                // The renewal of an inner token may take longer than that of the token which is fetched with it.
                while let Some(task) = SPAWNED.with_borrow_mut(|spawned| spawned.as_mut()?.pop()) {
                    // A task that panicked has ended too.
                    let _ = runtime.block_on(task);
                }
            }
            Err(error) => {
                tracing::error!(target: "keyfob", %error, "no runtime could be started for a renewal");
            }
        }
    }

    /// The runtime, unless it could not run a task now, because this thread is its only one and is in our `block_on`.
    fn able() -> Option<Handle> {
        let handle = Handle::try_current().ok()?;
        let only_thread = handle.runtime_flavor() == RuntimeFlavor::CurrentThread;
        (!only_thread || !block_on::is_blocking()).then_some(handle)
    }
}

/// Without tokio there is no runtime of the caller.
#[cfg(not(feature = "tokio"))]
mod callers {
    use std::time::Duration;

    use super::{BoxFuture, Spawner, Work, block_on};

    pub(super) fn spawn(task: BoxFuture<'static, ()>) -> Result<(), BoxFuture<'static, ()>> {
        Err(task)
    }

    pub(super) fn spawner() -> Option<Spawner> {
        None
    }

    pub(super) fn spawn_blocking(work: Work) -> Result<(), Work> {
        Err(work)
    }

    pub(super) fn sleep(_: Duration) -> Option<BoxFuture<'static, ()>> {
        None
    }

    pub(super) fn run(task: BoxFuture<'static, ()>) {
        block_on::block_on(task);
    }
}

type Work = Box<dyn FnOnce() + Send>;

fn spawn_thread(task: BoxFuture<'static, ()>) {
    start_thread("keyfob-renewal", move || callers::run(task));
}

/// Starts a thread. If the system refuses, the work is dropped, which its owner sees as abandoned.
fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(target: "keyfob", %error, thread = name, "no thread could be started");
    }
}
