//! A lease that is not there yet, for an event loop that polls it.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use keyfob::Error;
use keyfob::cache::Lease as CoreLease;
use pyo3::prelude::*;

use crate::cache::lease::Lease;
use crate::error::exception;
use crate::runtime::critical_section::detached;
use crate::runtime::threads::lock;
use crate::runtime::wait::callback;

/// A wait for a lease. The event loop polls it after each call of its callback; dropping it affects no other caller.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct PendingLease {
    future: Mutex<Option<LeaseFuture>>,
    to_python: ToPython,
    waker: Waker,
}

type LeaseFuture = BoxFuture<'static, Result<Option<CoreLease>, Error>>;

/// Makes a Python object of a lease.
type ToPython = Box<dyn Fn(Python<'_>, CoreLease) -> PyResult<Py<Lease>> + Send + Sync>;

impl PendingLease {
    pub(crate) fn new(future: LeaseFuture, to_python: ToPython, wake: Py<PyAny>) -> Self {
        Self {
            future: Mutex::new(Some(future)),
            to_python,
            waker: callback(wake),
        }
    }
}

#[pymethods]
impl PendingLease {
    /// `(lease,)` if the wait is over, where the lease may be `None`; `None` if the wait goes on.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<(Option<Py<Lease>>,)>> {
        match detached(py, || self.poll_detached()) {
            Poll::Pending => Ok(None),
            Poll::Ready(Err(error)) => Err(exception(py, &error)),
            Poll::Ready(Ok(None)) => Ok(Some((None,))),
            Poll::Ready(Ok(Some(lease))) => Ok(Some((Some((self.to_python)(py, lease)?),))),
        }
    }
}

impl PendingLease {
    /// Polls without the interpreter's lock: a renewal that ends takes that lock in each callback, while it holds what a poll
    /// needs.
    fn poll_detached(&self) -> Poll<Result<Option<CoreLease>, Error>> {
        let mut future = lock(&self.future);
        match &mut *future {
            Some(future) => Pin::new(future).poll(&mut Context::from_waker(&self.waker)),
            None => Poll::Pending,
        }
    }
}

impl Drop for PendingLease {
    /// Drops the future without the interpreter's lock, for the same reason.
    fn drop(&mut self) {
        let future = lock(&self.future).take();
        // Without an interpreter, this thread drops it as it is.
        let _ = Python::try_attach(|py| detached(py, || drop(future)));
    }
}
