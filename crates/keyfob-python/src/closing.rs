//! The end of the interpreter, after which no hook may begin: its thread would be stopped in the middle of Rust code.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

static CLOSED: AtomicBool = AtomicBool::new(false);
static STARTING: AtomicUsize = AtomicUsize::new(0);

/// Whether the interpreter is about to end, or has ended.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// While it lives, the interpreter's end waits.
pub(crate) struct Open;

impl Open {
    /// `None` if the interpreter is about to end.
    pub(crate) fn hold() -> Option<Self> {
        STARTING.fetch_add(1, Ordering::SeqCst);
        let open = Self;
        (!CLOSED.load(Ordering::SeqCst)).then_some(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets no further hook begin, and waits for those whose threads are just being started.
#[pyfunction]
pub(crate) fn close(py: Python<'_>) {
    CLOSED.store(true, Ordering::SeqCst);
    py.detach(|| {
        for _ in 0..MILLISECONDS_AT_MOST {
            if STARTING.load(Ordering::SeqCst) == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
}

/// In a forked child nothing is being started, whatever it was in its parent.
#[pyfunction]
pub(crate) fn reopen_in_child() {
    STARTING.store(0, Ordering::SeqCst);
    CLOSED.store(false, Ordering::SeqCst);
}

const MILLISECONDS_AT_MOST: u32 = 1000;
