//! The user's hook as a token source. One renewal at a time calls it, on a Python thread of its own.
//!
//! It does not run on the renewal's thread, where Rust frames would be below Python's on the stack: an interpreter that exits
//! stops threads, and must find only Python frames on them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Token, TokenSource};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::convert::from_timestamp;
use crate::error::HookException;
use crate::runtime::critical_section::attached;
use crate::runtime::threads::lock;

type HookResult = Result<Token, Error>;

/// The callable `get_token`.
pub(crate) struct Hook {
    get_token: Mutex<Option<Py<PyAny>>>,
    /// A call is running. The renewal may have given it up, but no second call runs at the same time.
    busy: Arc<AtomicBool>,
}

impl Hook {
    pub(crate) fn new(get_token: Py<PyAny>) -> Self {
        Self {
            get_token: Mutex::new(Some(get_token)),
            busy: Arc::default(),
        }
    }

    /// A forked child has no thread that runs a call.
    pub(crate) fn after_fork_in_child(&self) {
        self.busy.store(false, Ordering::Release);
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.get_token.try_lock() {
            Ok(get_token) => visit.call(&*get_token),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn clear(&self) {
        let get_token = lock(&self.get_token).take();
        drop(get_token);
    }

    fn call(&self, cache: usize, sender: oneshot::Sender<HookResult>) -> Result<(), Error> {
        let busy = BusyGuard::acquire(&self.busy).ok_or_else(|| {
            Error::unavailable(
                "the token hook is still running an earlier call that timed out; \
                 make it return in time, or set a longer `fetch_timeout`",
            )
        })?;
        let call = HookCall {
            pending: Mutex::new(Some((busy, sender))),
            cache,
        };
        attached(|py| self.start(py, call))
            .unwrap_or_else(|| Err(Error::unavailable("the interpreter is exiting")))
    }

    fn start(&self, py: Python<'_>, call: HookCall) -> Result<(), Error> {
        static START: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let get_token = lock(&self.get_token)
            .as_ref()
            .map(|get_token| get_token.clone_ref(py));
        START
            .import(py, "keyfob._hook", "start")
            .and_then(|start| start.call1((get_token, call)))
            .map(drop)
            .map_err(|exception| HookException::into_error(exception, py))
    }
}

/// The hook as the source of one cache.
pub(crate) struct HookSource {
    pub(crate) hook: Arc<Hook>,
    pub(crate) cache: usize,
}

impl TokenSource for HookSource {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, HookResult> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            self.hook.call(self.cache, sender)?;
            receiver.await.unwrap_or_else(|_| {
                Err(Error::unavailable(
                    "the thread of the token hook ended without a result",
                ))
            })
        })
    }
}

/// One call of the hook. Dropping it ends the call.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct HookCall {
    pending: Mutex<Option<(BusyGuard, oneshot::Sender<HookResult>)>>,
    /// The number of the cache that needs the token.
    #[pyo3(get)]
    cache: usize,
}

/// Marks the hook as busy until it is dropped.
struct BusyGuard(Arc<AtomicBool>);

impl BusyGuard {
    /// `None` if another call is running.
    fn acquire(flag: &Arc<AtomicBool>) -> Option<Self> {
        (!flag.swap(true, Ordering::Acquire)).then(|| Self(Arc::clone(flag)))
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[pymethods]
impl HookCall {
    /// Reports the token that the hook returned, and the POSIX timestamp of its expiry.
    #[pyo3(signature = (jwt, expires))]
    fn succeed(&self, jwt: String, expires: Option<f64>) -> PyResult<()> {
        let token = Token::new(jwt).map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.end(Ok(match expires {
            Some(expires) => token.expires_at(from_timestamp(expires)?),
            None => token.expiry_from_jwt(),
        }));
        Ok(())
    }

    /// Reports why the value that the hook returned cannot be used.
    fn reject(&self, reason: &str) {
        self.end(Err(Error::unavailable(format!(
            "the result of the token hook cannot be used: {reason}"
        ))));
    }

    /// Reports the exception that the hook raised.
    fn fail(&self, exception: Bound<'_, PyAny>) {
        let py = exception.py();
        self.end(Err(HookException::into_error(
            PyErr::from_value(exception),
            py,
        )));
    }
}

impl HookCall {
    fn end(&self, result: HookResult) {
        if let Some((busy, sender)) = lock(&self.pending).take() {
            // First, because the receiver may call the hook again at once.
            drop(busy);
            // Fails if the renewal gave up the call.
            let _ = sender.send(result);
        }
    }
}
