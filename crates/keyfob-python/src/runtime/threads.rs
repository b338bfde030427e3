//! The threads of renewals, their clock, and their locks: a forked child needs none that it does not have.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::clock::{Clock, CoarseTime, SystemClock};
use keyfob::runtime::Runtime;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle};

use crate::runtime::caller;
use crate::runtime::critical_section::{CriticalSection, mark_rust_thread};

/// Locks a mutex even if another thread panicked: the values behind the mutexes of this crate are always consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The system's clock, which a test may move. It sleeps on the thread of a renewal, because a child would lack the thread of a
/// shared timer.
pub(crate) struct RenewalClock;

/// How far a test has moved the time that passed, in nanoseconds.
static PASSED: AtomicU64 = AtomicU64::new(0);
/// How far a test has moved the wall clock in addition, in nanoseconds.
static WALL: AtomicI64 = AtomicI64::new(0);

/// Lets this much time pass on the clock of all caches at once.
#[pyfunction]
pub(crate) fn advance_clock(time: f64) -> PyResult<()> {
    let time = Duration::try_from_secs_f64(time).map_err(|_| {
        PyValueError::new_err(format!(
            "the time must be a number of seconds, 0 or more, not {time}"
        ))
    })?;
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // The update never refuses.
    let _ = PASSED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |passed| {
        Some(passed.saturating_add(time))
    });
    Ok(())
}

/// Sets the wall clock of all caches forward by this many seconds, or back if it is negative. No time passes.
#[pyfunction]
pub(crate) fn step_wall_clock(seconds: f64) {
    WALL.fetch_add((seconds * 1e9) as i64, Ordering::SeqCst);
}

/// The time on the wall clock of all caches, as a POSIX timestamp.
#[pyfunction]
pub(crate) fn wall_clock() -> f64 {
    RenewalClock.coarse_time().wall as f64 / 1e9
}

/// Sets the wall clock of all caches to that of the system.
///
/// Time that was made to pass stays: a clock that runs backward would make the tokens of other tests live longer.
#[pyfunction]
pub(crate) fn reset_wall_clock() {
    let passed = i64::try_from(PASSED.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
    WALL.store(-passed, Ordering::SeqCst);
}

impl Clock for RenewalClock {
    fn coarse_time(&self) -> CoarseTime {
        let passed = PASSED.load(Ordering::Relaxed);
        let CoarseTime { monotonic, wall } = SystemClock.coarse_time();
        CoarseTime {
            monotonic: monotonic.saturating_add(passed),
            wall: wall
                .saturating_add(passed)
                .saturating_add_signed(WALL.load(Ordering::Relaxed)),
        }
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed() + Duration::from_nanos(PASSED.load(Ordering::Relaxed))
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
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        // Captured here, because the cache spawns a renewal on the thread of the caller that needs the token.
        renew(task, caller::capture());
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        start("keyfob-source", work);
    }
}

/// The same for a pool, whose hooks run in an empty context: a fetch that waited for its turn is spawned on the thread of another
/// key's, and the context of that caller is none of its business.
pub(crate) struct PoolThreads;

impl Runtime for PoolThreads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        renew(task, None);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        start("keyfob-source", work);
    }
}

/// Runs a renewal for this caller.
fn renew(mut task: BoxFuture<'static, ()>, caller: Option<Py<PyAny>>) {
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
