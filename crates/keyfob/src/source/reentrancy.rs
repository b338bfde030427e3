//! Telling a hook that waits for itself: one that uses the session whose token it is getting.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

thread_local! {
    /// The cache on whose behalf this thread runs a hook; zero for none.
    static ASKED_BY: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread runs a hook for that cache.
pub(crate) fn is_inside(cache: usize) -> bool {
    ASKED_BY.get() == cache
}

/// Runs work as part of a hook for that cache.
pub(crate) fn inside<T>(cache: usize, work: impl FnOnce() -> T) -> T {
    struct Restore(usize);

    impl Drop for Restore {
        fn drop(&mut self) {
            ASKED_BY.set(self.0);
        }
    }

    let _restore = Restore(ASKED_BY.replace(cache));
    work()
}

/// Polls a future as part of a hook for that cache.
pub(crate) async fn poll_inside<F: Future>(cache: usize, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| inside(cache, || future.as_mut().poll(context))).await
}
