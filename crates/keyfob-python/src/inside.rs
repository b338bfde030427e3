//! Being inside Rust in a way that neither a fork nor the interpreter's end may come between.
//!
//! A child has only the thread that forked. What another thread held in that moment stays held in it for ever: a lock, an
//! object that is being made once and for all, the interpreter's list of threads. And the interpreter, when it ends, stops
//! each thread that asks for its lock, which must not happen to one that has Rust below it on its stack. So threads say when
//! they are inside, a fork and the end wait until nobody is, and until they are over nobody comes in.
//!
//! Inside is who works without the interpreter's lock, takes it, or calls Python code. Who waits for a token is outside.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

static CLOSED: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicUsize = AtomicUsize::new(0);
/// How many threads are inside.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static KIND: Cell<Kind> = const { Cell::new(Kind::Pythons) };
    static FORKING: Cell<bool> = const { Cell::new(false) };
}

/// Who started a thread.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pythons,
    /// Python as well, but it ends the interpreter, or has waited for the end in vain.
    Last,
    /// It has the interpreter's lock only in [`attached`].
    Rusts,
}

/// Marks this thread as one that Rust started.
pub(crate) fn is_rusts_thread() {
    KIND.set(Kind::Rusts);
}

/// Whether the interpreter is about to end, or has ended.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// Works without the interpreter's lock; to be called with it.
pub(crate) fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    let (output, _inside) = py.detach(|| {
        let inside = Inside::enter();
        (work(), inside)
    });
    output
}

/// Works with the interpreter's lock, which the thread may have or not; `None` if the interpreter is about to end, or has ended.
pub(crate) fn attached<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // Python's own threads are inside already wherever they have not the lock.
    let _inside = (KIND.get() == Kind::Rusts).then(Inside::enter);
    if is_closed() {
        return None;
    }
    Python::try_attach(|py| {
        let _inside = Inside::enter_attached(py);
        work(py)
    })
}

/// Until it is dropped, this thread is inside; threads of Python's that are not inside have the interpreter's lock.
pub(crate) struct Inside(());

impl Inside {
    /// Comes in without the interpreter's lock; waits while the process forks, and where the interpreter ends for that.
    pub(crate) fn enter() -> Self {
        let mut steps = 0;
        loop {
            if let Some(inside) = Self::unless_shut() {
                return inside;
            }
            thread::sleep(STEP);
            steps += 1;
            if steps == STEPS_TO_THE_END && KIND.get() == Kind::Pythons && is_closed() {
                // Whoever ends the interpreter may well wait for this thread before.
                KIND.set(Kind::Last);
            }
        }
    }

    /// The same with the interpreter's lock, which is given up for as long as there is a wait.
    pub(crate) fn enter_attached(py: Python<'_>) -> Self {
        Self::unless_shut().unwrap_or_else(|| py.detach(Self::enter))
    }

    fn unless_shut() -> Option<Self> {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if depth == 0 {
            // First this, then the look: who shuts does it the other way round.
            INSIDE.fetch_add(1, Ordering::SeqCst);
        }
        let inside = Self(());
        (depth > 0 || !is_shut()).then_some(inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Whether this thread has to stay outside for now.
fn is_shut() -> bool {
    let forks = FORKS.load(Ordering::SeqCst) > 0 && !FORKING.get();
    // A thread that Rust started may run on without the interpreter, and the one that ends it needs what is left.
    let ends = is_closed() && KIND.get() == Kind::Pythons;
    forks || ends
}

/// Lets no thread take the interpreter's lock in here any more but this one, and waits for those that are at it.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
    KIND.set(Kind::Last);
    CLOSED.store(true, Ordering::SeqCst);
    wait_for_others(py);
}

/// Lets no thread come in until the fork is over, and waits for those that are inside.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    FORKING.set(true);
    FORKS.fetch_add(1, Ordering::SeqCst);
    wait_for_others(py);
}

/// The fork is over.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
    FORKING.set(false);
}

/// In a child there are no other threads, no other forks, and no end yet.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    KIND.set(Kind::Pythons);
    CLOSED.store(false, Ordering::SeqCst);
    FORKS.store(0, Ordering::SeqCst);
    FORKING.set(false);
    INSIDE.store(own(), Ordering::SeqCst);
}

/// Without the interpreter's lock, for which they may wait. Not for ever: what hangs shall not keep others.
fn wait_for_others(py: Python<'_>) {
    py.detach(|| {
        for _ in 0..STEPS_AT_MOST {
            if INSIDE.load(Ordering::SeqCst) <= own() {
                return;
            }
            thread::sleep(STEP);
        }
    });
}

/// A handler of the log that forks is called from inside.
fn own() -> usize {
    usize::from(DEPTH.get() > 0)
}

const STEP: Duration = Duration::from_millis(1);
const STEPS_AT_MOST: u32 = 5000;
const STEPS_TO_THE_END: u32 = 2000;
