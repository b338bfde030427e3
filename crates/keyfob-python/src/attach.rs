//! Taking the interpreter's lock on a thread that Rust started: neither while the process forks nor when it ends.
//!
//! Such a thread is made known to the interpreter before it has the lock, under a lock of the interpreter's own. A child that
//! is forked in that moment finds it locked for ever (CPython 3.11 waits for it right after the fork), and an interpreter that
//! ends crashes or stops the thread in the middle of Rust code. So both wait until nobody is at it, and then nobody begins.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

static CLOSED: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicUsize = AtomicUsize::new(0);
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Thread> = const { Cell::new(Thread::Pythons) };
}

/// What the interpreter knows of a thread.
#[derive(Clone, Copy, PartialEq)]
enum Thread {
    /// It is one of Python's own, or inside such a one.
    Pythons,
    /// Rust started it, and it has not the interpreter's lock.
    Rusts,
    /// Rust started it, and it has the interpreter's lock, or is about to.
    Attached,
}

/// Marks this thread as one that Rust started.
pub(crate) fn is_rusts_thread() {
    THREAD.set(Thread::Rusts);
}

/// Works with the interpreter's lock; `None` if the interpreter is about to end, or has ended.
pub(crate) fn attached<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _attached = match THREAD.get() {
        Thread::Rusts => Some(Attached::begin()?),
        Thread::Pythons | Thread::Attached => None,
    };
    Python::try_attach(work)
}

/// Whether the interpreter is about to end, or has ended.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// While it lives, a fork and the interpreter's end wait.
struct Attached;

impl Attached {
    /// Waits while the process forks; `None` if the interpreter is about to end.
    fn begin() -> Option<Self> {
        loop {
            ATTACHED.fetch_add(1, Ordering::SeqCst);
            THREAD.set(Thread::Attached);
            let attached = Self;
            if is_closed() {
                return None;
            }
            if FORKS.load(Ordering::SeqCst) == 0 {
                return Some(attached);
            }
            drop(attached);
            thread::sleep(STEP);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        THREAD.set(Thread::Rusts);
        ATTACHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets no thread of Rust's attach any more, and waits for those that are at it.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
    CLOSED.store(true, Ordering::SeqCst);
    wait_for_none(py);
}

/// Lets no thread of Rust's attach until the fork is over, and waits for those that are at it.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    FORKS.fetch_add(1, Ordering::SeqCst);
    wait_for_none(py);
}

/// The fork is over.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

/// In a child there are no threads of Rust's, and no other forks.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    FORKS.store(0, Ordering::SeqCst);
    ATTACHED.store(0, Ordering::SeqCst);
    CLOSED.store(false, Ordering::SeqCst);
}

/// Without the interpreter's lock, for which they may wait. Not for ever: what hangs shall not keep others.
fn wait_for_none(py: Python<'_>) {
    py.detach(|| {
        for _ in 0..STEPS_AT_MOST {
            if ATTACHED.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::sleep(STEP);
        }
    });
}

const STEP: Duration = Duration::from_millis(1);
const STEPS_AT_MOST: u32 = 1000;
