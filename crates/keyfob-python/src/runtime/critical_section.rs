//! Sections of Rust code that neither a fork nor the interpreter's exit may interrupt.
//!
//! A forked child has only the thread that forked. Anything that another thread held at that moment stays held in the child
//! forever: a lock, an object that is being initialized, the interpreter's list of threads. And an interpreter that exits stops
//! each thread that asks for its lock, which must not happen to a thread with Rust frames on its stack. Therefore threads mark
//! their critical sections. A fork and the exit wait until no thread is in one, and until they are over no thread enters one.
//!
//! A thread is in a critical section while it works without the interpreter's lock, while it takes that lock, and while it
//! calls Python code from Rust. A thread that waits for a token is not in one.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use std::{process, thread};

use keyfob::source::wait_for_exchanges;
use pyo3::prelude::*;

static EXITING: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicUsize = AtomicUsize::new(0);
/// How many threads are in a critical section.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// The process that this state belongs to; 0 before the first call of [`notice_fork`].
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many sections of this thread are nested.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static KIND: Cell<ThreadKind> = const { Cell::new(ThreadKind::Python) };
    static FORKING: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy, PartialEq)]
enum ThreadKind {
    /// Python started it.
    Python,
    /// Python started it, and it may enter sections during the exit: it runs the exit, or the exit seems to wait for it.
    PythonDuringExit,
    /// Rust started it. It has the interpreter's lock only in [`attached`].
    Rust,
}

/// Marks the calling thread as one that Rust started.
pub(crate) fn mark_rust_thread() {
    KIND.set(ThreadKind::Rust);
}

/// Whether the interpreter is about to exit, or has exited.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Ordering::SeqCst)
}

/// Runs `work` without the interpreter's lock. The caller must have the lock.
pub(crate) fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    let (output, _section) = py.detach(|| {
        let section = CriticalSection::enter();
        (work(), section)
    });
    output
}

/// Runs `work` with the interpreter's lock, which the thread may already have; `None` if the interpreter is exiting.
pub(crate) fn attached<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // A Python thread that does not have the lock is already in a section.
    let _section = (KIND.get() == ThreadKind::Rust).then(CriticalSection::enter);
    if is_exiting() {
        return None;
    }
    Python::try_attach(|py| {
        let _section = CriticalSection::enter_attached(py);
        work(py)
    })
}

/// Keeps the calling thread in a critical section until it is dropped.
///
/// A Python thread that is in no section has the interpreter's lock.
pub(crate) struct CriticalSection(());

impl CriticalSection {
    /// Enters without the interpreter's lock. Waits while the process forks, and for a while if the interpreter exits.
    pub(crate) fn enter() -> Self {
        let mut steps = 0;
        loop {
            if let Some(section) = Self::try_enter() {
                return section;
            }
            thread::sleep(STEP);
            steps += 1;
            if steps == EXIT_STEPS && KIND.get() == ThreadKind::Python && is_exiting() {
                // An `atexit` function may be waiting for this thread, so the exit would never come.
                KIND.set(ThreadKind::PythonDuringExit);
            }
        }
    }

    /// Enters with the interpreter's lock, and releases the lock while it has to wait.
    pub(crate) fn enter_attached(py: Python<'_>) -> Self {
        Self::try_enter().unwrap_or_else(|| py.detach(Self::enter))
    }

    fn try_enter() -> Option<Self> {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if depth == 0 {
            // Count first and check then. A fork or an exit does both in the opposite order, so one of the two sees the other.
            THREADS.fetch_add(1, Ordering::SeqCst);
        }
        let section = Self(());
        (depth > 0 || !must_wait()).then_some(section)
    }
}

impl Drop for CriticalSection {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            THREADS.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Whether the calling thread may not enter a section now.
fn must_wait() -> bool {
    let forking = FORKS.load(Ordering::SeqCst) > 0 && !FORKING.get();
    // Rust threads can go on without the interpreter, and the thread that runs the exit needs the rest.
    let exiting = is_exiting() && KIND.get() == ThreadKind::Python;
    forking || exiting
}

/// Stops all other threads from taking the interpreter's lock in this module, and waits for those in a section.
#[pyfunction]
pub(crate) fn before_exit(py: Python<'_>) {
    notice_fork();
    // T9: an exchange that is cut off looks like one whose response was lost. It may call Python code, so this comes first.
    py.detach(|| wait_for_exchanges(EXCHANGE_TIMEOUT));
    KIND.set(ThreadKind::PythonDuringExit);
    EXITING.store(true, Ordering::SeqCst);
    wait_for_other_threads(py);
}

/// Stops threads from entering a section until the fork is over, and waits for those in a section.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    notice_fork();
    FORKING.set(true);
    FORKS.fetch_add(1, Ordering::SeqCst);
    wait_for_other_threads(py);
}

/// Lets threads enter sections again.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
    FORKING.set(false);
}

/// Resets the state: a child has no other threads, no other forks, and is not exiting.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    KIND.set(ThreadKind::Python);
    EXITING.store(false, Ordering::SeqCst);
    FORKS.store(0, Ordering::SeqCst);
    FORKING.set(false);
    THREADS.store(own_section(), Ordering::SeqCst);
    PROCESS.store(process::id(), Ordering::SeqCst);
}

/// Resets the state in a child that was forked without Python's knowledge, once for the whole process.
pub(crate) fn notice_fork() {
    let process = process::id();
    let before = PROCESS.swap(process, Ordering::SeqCst);
    if before != process && before != 0 {
        after_fork_in_child();
    }
}

/// Waits without the interpreter's lock, which the others may need, and only for a limited time, in case one of them hangs.
fn wait_for_other_threads(py: Python<'_>) {
    py.detach(|| {
        for _ in 0..MAX_STEPS {
            if THREADS.load(Ordering::SeqCst) <= own_section() {
                return;
            }
            thread::sleep(STEP);
        }
    });
}

/// 1 if the calling thread is in a section itself, as when a log handler forks.
fn own_section() -> usize {
    usize::from(DEPTH.get() > 0)
}

/// How long the exit waits for exchanges in the background: twice as long as a database may take to reply.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(6);
const STEP: Duration = Duration::from_millis(1);
/// A fork and the exit wait for five seconds at most.
const MAX_STEPS: u32 = 5000;
/// A Python thread waits for the exit for two seconds at most.
const EXIT_STEPS: u32 = 2000;
