//! Waiting on an event loop: polled there, and woken through it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;
use keyfob::Error;
use pyo3::prelude::*;

use crate::error::exception;
use crate::inside::{attached, detached};
use crate::lease::Lease;
use crate::lock::lock;

/// A wait for a token, to be polled anew each time its callback was called. Dropping it takes nothing from others who wait.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Waiting {
    future: Mutex<Option<Future>>,
    in_python: InPython,
    waker: Waker,
}

type Future = BoxFuture<'static, Result<Option<keyfob::cache::Lease>, Error>>;

/// Makes a lease a Python object.
type InPython = Box<dyn Fn(Python<'_>, keyfob::cache::Lease) -> PyResult<Py<Lease>> + Send + Sync>;

impl Waiting {
    pub(crate) fn new(future: Future, in_python: InPython, woken: Py<PyAny>) -> Self {
        Self {
            future: Mutex::new(Some(future)),
            in_python,
            waker: Waker::from(Arc::new(Callback(woken))),
        }
    }
}

#[pymethods]
impl Waiting {
    /// `(lease,)` when the wait is over, where the lease may be `None`; `None` if it goes on.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<(Option<Py<Lease>>,)>> {
        match detached(py, || self.poll_detached()) {
            Poll::Pending => Ok(None),
            Poll::Ready(Err(error)) => Err(exception(py, &error)),
            Poll::Ready(Ok(None)) => Ok(Some((None,))),
            Poll::Ready(Ok(Some(lease))) => Ok(Some((Some((self.in_python)(py, lease)?),))),
        }
    }
}

impl Waiting {
    /// To be called without the interpreter's lock: the renewal that ends takes it in each callback, and holds meanwhile what a
    /// poll needs.
    fn poll_detached(&self) -> Poll<Result<Option<keyfob::cache::Lease>, Error>> {
        let mut future = lock(&self.future);
        match &mut *future {
            Some(future) => Pin::new(future).poll(&mut Context::from_waker(&self.waker)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    /// The same goes for dropping the future.
    fn drop(&mut self) {
        let future = lock(&self.future).take();
        // Without an interpreter it is dropped right here.
        let _ = Python::try_attach(|py| detached(py, || drop(future)));
    }
}

/// A Python callable that may be called from any thread.
struct Callback(Py<PyAny>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        // Without an interpreter there is nobody to wake.
        let _ = attached(|py| {
            if let Err(error) = self.0.call0(py) {
                // The event loop has been closed.
                error.write_unraisable(py, None);
            }
        });
    }
}
