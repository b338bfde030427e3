//! Without an async runtime, nothing else would run on a thread that blocks, and nobody asks.

/// Marks nothing.
pub(super) struct Blocking;

impl Blocking {
    pub(super) fn begins() -> Self {
        Self
    }
}
