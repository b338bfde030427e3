//! The lock of the cache's shared state. Under the model checker it is the checker's own (`cache/model.rs`).

use std::sync::PoisonError;

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic: code that holds such a lock replaces values whole, so none is left half written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the model checker run another thread here. Does nothing in a normal build.
#[inline(always)]
pub(crate) fn interleave() {
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}
