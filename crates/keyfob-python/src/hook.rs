//! The user's hook as a source: called on a Python thread of its own, by one renewal at a time.
//!
//! Not on the renewal's own thread, where Rust would lie below Python on the stack: the interpreter ends a thread that is in
//! its way at exit, and must find nothing but Python there.

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

use crate::error::Raised;
use crate::inside::attached;
use crate::lock::lock;
use crate::moment::from_timestamp;

type Answer = Result<Token, Error>;

/// `get_token`, as it was handed in.
pub(crate) struct Hook {
    get_token: Mutex<Option<Py<PyAny>>>,
    /// A call is under way, perhaps one that was given up: the next one does not run beside it.
    busy: Arc<AtomicBool>,
}

impl Hook {
    pub(crate) fn new(get_token: Py<PyAny>) -> Self {
        Self {
            get_token: Mutex::new(Some(get_token)),
            busy: Arc::default(),
        }
    }

    /// In a forked child no call is under way.
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

    fn call(&self, cache: usize, answer: oneshot::Sender<Answer>) -> Result<(), Error> {
        let busy = Busy::unless_already(&self.busy).ok_or_else(|| {
            Error::unavailable(
                "the token hook is still busy with an earlier call that was given up; \
                 have it end in time, or give it more with `fetch_timeout`",
            )
        })?;
        let call = HookCall {
            pending: Mutex::new(Some((busy, answer))),
            cache,
        };
        attached(|py| self.start(py, call))
            .unwrap_or_else(|| Err(Error::unavailable("the interpreter is about to end")))
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
            .map_err(|exception| Raised::failure(exception, py))
    }
}

impl TokenSource for HookSource {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            self.hook.call(self.cache, sender)?;
            receiver.await.unwrap_or_else(|_| {
                Err(Error::unavailable(
                    "the thread of the token hook ended without an answer",
                ))
            })
        })
    }
}

/// The hook on behalf of one cache.
pub(crate) struct HookSource {
    pub(crate) hook: Arc<Hook>,
    pub(crate) cache: usize,
}

/// One call of the hook; it is over when this is dropped.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct HookCall {
    pending: Mutex<Option<(Busy, oneshot::Sender<Answer>)>>,
    /// The number of the cache that asks.
    #[pyo3(get)]
    cache: usize,
}

/// The mark of a call that is under way.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn unless_already(flag: &Arc<AtomicBool>) -> Option<Self> {
        (!flag.swap(true, Ordering::Acquire)).then(|| Self(Arc::clone(flag)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[pymethods]
impl HookCall {
    /// Hands in the token that the hook gave, with the POSIX timestamp of its expiry.
    #[pyo3(signature = (jwt, expires))]
    fn succeed(&self, jwt: String, expires: Option<f64>) -> PyResult<()> {
        let token = Token::new(jwt).map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.end(Ok(match expires {
            Some(expires) => token.expires_at(from_timestamp(expires)?),
            None => token.expiry_from_jwt(),
        }));
        Ok(())
    }

    /// Says why what the hook gave cannot be used.
    fn refuse(&self, why: &str) {
        self.end(Err(Error::unavailable(format!(
            "what the token hook gave cannot be used: {why}"
        ))));
    }

    /// Hands in what the hook raised.
    fn fail(&self, exception: Bound<'_, PyAny>) {
        let py = exception.py();
        self.end(Err(Raised::failure(PyErr::from_value(exception), py)));
    }
}

impl HookCall {
    /// The mark is taken off first: who gets the answer may ask for another at once.
    fn end(&self, answer: Answer) {
        if let Some((busy, sender)) = lock(&self.pending).take() {
            drop(busy);
            // Nobody waits any more if the renewal was given up.
            let _ = sender.send(answer);
        }
    }
}
