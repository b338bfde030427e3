//! The mark of a thread that runs a future of ours, so that nothing else runs on it meanwhile.

use std::cell::Cell;

thread_local! {
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has the mark.
#[cfg(feature = "tokio")]
pub(super) fn is_blocking() -> bool {
    BLOCKING.get()
}

/// Marks the thread until it is dropped, and restores then what was there before.
pub(super) struct Blocking(bool);

impl Blocking {
    pub(super) fn begins() -> Self {
        Self(BLOCKING.replace(true))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        BLOCKING.set(self.0);
    }
}
