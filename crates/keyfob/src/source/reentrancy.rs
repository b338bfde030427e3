//! Detects a hook that would wait for itself, because it uses the session whose token it fetches.
//!
//! While a thread runs a hook, or polls its future, a thread-local variable holds the identity of the cache. A cache that is
//! asked for a token on such a thread fails at once instead of waiting for the fetch that is asking.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;

thread_local! {
    /// The cache for which this thread runs a hook; zero for none.
    static ASKED_BY: Cell<usize> = const { Cell::new(0) };
}

/// The cache for which this thread runs a hook; zero for none.
pub(crate) fn current() -> usize {
    ASKED_BY.get()
}

/// Whether this thread runs a hook for that cache.
pub(crate) fn is_inside(cache: usize) -> bool {
    ASKED_BY.get() == cache
}

/// Runs blocking work as part of a hook for that cache.
pub(crate) fn inside<T>(cache: usize, work: impl FnOnce() -> T) -> T {
    /// Restores the value even if the hook panics.
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
