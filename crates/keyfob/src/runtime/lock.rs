//! The lock and the point of interleaving that the model checker can see.

#[cfg(not(shuttle))]
mod real {
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// A moment at which another thread may run; only the model checker cares.
    #[inline(always)]
    pub(crate) fn interleave() {}
}

#[cfg(shuttle)]
mod model {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) fn interleave() {
        shuttle::thread::yield_now();
    }
}

use std::sync::PoisonError;

#[cfg(shuttle)]
pub(crate) use crate::runtime::lock::model::{Mutex, MutexGuard, interleave};
#[cfg(not(shuttle))]
pub(crate) use crate::runtime::lock::real::{Mutex, MutexGuard, interleave};

/// Locks; a thread that panicked while it held the lock left whole values behind, since each is replaced at once.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
