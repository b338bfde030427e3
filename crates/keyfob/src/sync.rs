//! The lock and the point of interleaving that the model checker can see.

#[cfg(not(shuttle))]
mod real {
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::MutexGuard;

    /// A moment at which another thread may run; only the model checker cares.
    #[inline(always)]
    pub(crate) fn interleave() {}
}

#[cfg(shuttle)]
mod model {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::MutexGuard;

    pub(crate) fn interleave() {
        shuttle::thread::yield_now();
    }
}

use std::sync::PoisonError;

#[cfg(shuttle)]
pub(crate) use crate::sync::model::Mutex;
#[cfg(shuttle)]
pub(crate) use crate::sync::model::MutexGuard;
#[cfg(shuttle)]
pub(crate) use crate::sync::model::interleave;
#[cfg(not(shuttle))]
pub(crate) use crate::sync::real::Mutex;
#[cfg(not(shuttle))]
pub(crate) use crate::sync::real::MutexGuard;
#[cfg(not(shuttle))]
pub(crate) use crate::sync::real::interleave;

/// Locks; a thread that panicked while it held the lock left whole values behind, since each is replaced at once.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
