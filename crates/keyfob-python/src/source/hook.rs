//! The user's hook as a token source. One renewal at a time calls it, on a Python thread of its own and in a copy of the context
//! of the caller that caused the renewal.
//!
//! It does not run on the renewal's thread, where Rust frames would be below Python's on the stack: an interpreter that exits
//! stops threads, and must find only Python frames on them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use keyfob::source::{TokenRequest, token_from_text};
use keyfob::{Error, Token, TokenSource};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::convert::{from_timestamp, seconds};
use crate::error::{HookException, is_interrupt_of_another};
use crate::runtime::caller;
use crate::runtime::critical_section::attached;
use crate::runtime::threads::lock;

type HookResult = Result<Token, Error>;

/// The callable `get_token`.
pub(crate) struct Hook {
    get_token: Mutex<Option<Py<PyAny>>>,
    /// Calls that have not returned. All but the newest were given up by their renewal.
    running: Arc<AtomicUsize>,
}

impl Hook {
    pub(crate) fn new(get_token: Py<PyAny>) -> Self {
        Self {
            get_token: Mutex::new(Some(get_token)),
            running: Arc::default(),
        }
    }

    /// A forked child has no thread that runs a call.
    pub(crate) fn after_fork_in_child(&self) {
        self.running.store(0, Ordering::Release);
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

    fn call(&self, call: HookCall) -> Result<(), Error> {
        attached(|py| self.start(py, call))
            .unwrap_or_else(|| Err(Error::unavailable("the interpreter is exiting")))
    }

    /// Counts a call, unless too many earlier ones have not returned: each of them keeps a thread.
    fn begin(&self) -> Result<RunningCall, Error> {
        let earlier = self.running.fetch_add(1, Ordering::AcqRel);
        let running = RunningCall(Arc::clone(&self.running));
        if earlier >= MOST_CALLS {
            return Err(Error::unavailable(format!(
                "{earlier} calls of the token hook have not returned, so it is not called again; \
                 make it return or raise an exception in time"
            )));
        }
        if earlier > 0 {
            tracing::warn!(
                target: "keyfob",
                earlier,
                "the token hook is called again although earlier calls have not returned"
            );
        }
        Ok(running)
    }

    fn start(&self, py: Python<'_>, call: HookCall) -> Result<(), Error> {
        static START: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let get_token = lock(&self.get_token)
            .as_ref()
            .map(|get_token| get_token.clone_ref(py));
        START
            .import(py, "keyfob._hook", "start")
            .and_then(|start| start.call1((get_token, call, caller::current(py))))
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
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, HookResult> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            self.hook.call(HookCall {
                pending: Mutex::new(Some((self.hook.begin()?, sender))),
                cache: self.cache,
                timeout: request.timeout().as_secs_f64(),
            })?;
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
    pending: Mutex<Option<(RunningCall, oneshot::Sender<HookResult>)>>,
    /// The number of the cache that needs the token.
    #[pyo3(get)]
    cache: usize,
    /// After this time the renewal gives the call up, in seconds.
    #[pyo3(get)]
    timeout: f64,
}

/// Counts a call until it is dropped.
struct RunningCall(Arc<AtomicUsize>);

impl Drop for RunningCall {
    fn drop(&mut self) {
        // A forked child may have set the count to zero since.
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |calls| {
                calls.checked_sub(1)
            });
    }
}

#[pymethods]
impl HookCall {
    /// Reports the token that the hook returned, and the POSIX timestamp of its expiry or its lifetime in seconds.
    #[pyo3(signature = (jwt, expires=None, lifetime=None))]
    fn succeed(&self, jwt: String, expires: Option<f64>, lifetime: Option<f64>) -> PyResult<()> {
        let token = Token::new(jwt).map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.end(Ok(match (expires, lifetime) {
            (Some(expires), _) => token.expires_at(from_timestamp(expires)?),
            (None, Some(lifetime)) => token.expires_in(seconds("the lifetime", lifetime)?),
            (None, None) => token.expiry_from_jwt(),
        }));
        Ok(())
    }

    /// Reports the dict that the hook returned, as JSON.
    fn succeed_with_json(&self, json: &str) -> PyResult<()> {
        let token = token_from_text(json.as_bytes());
        let token = token.map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.end(Ok(token));
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

    /// Reports that the call ended early: a request to exit, or a cancellation. That is no failure of the source.
    ///
    /// One caller gets a request to exit.
    fn interrupt(&self, exception: Bound<'_, PyAny>, is_exit: bool) {
        let py = exception.py();
        let error = HookException::interrupt(py, PyErr::from_value(exception), is_exit);
        self.end(Err(error));
    }
}

impl HookCall {
    fn end(&self, result: HookResult) {
        if let Some((running, sender)) = lock(&self.pending).take() {
            // First, because the receiver may call the hook again at once.
            drop(running);
            // Fails if the renewal gave up the call.
            let _ = sender.send(result);
        }
    }
}

/// How many calls may hang at the same time.
const MOST_CALLS: usize = 16;

/// Asks again if the call of the hook was interrupted, because that is no failure of the source.
pub(crate) async fn uninterrupted<T, F: Future<Output = Result<T, Error>>>(
    ask: impl Fn() -> F,
) -> Result<T, Error> {
    for _ in 1..MOST_INTERRUPTS {
        match ask().await {
            Err(error) if is_interrupt_of_another(&error) => {}
            outcome => return outcome,
        }
    }
    ask().await
}

/// How many calls of the hook one caller waits for, if each is interrupted.
const MOST_INTERRUPTS: usize = 3;
