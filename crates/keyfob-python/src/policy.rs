//! What is sent again, how often, and after which pause.

use std::sync::Arc;

use http::StatusCode;
use keyfob::RetryPolicy as CorePolicy;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::moment::seconds;

/// What is sent again, how often, and after which pause.
///
/// Retried are, as long as the body can be sent again in full: a connection that failed before anything was sent, whatever the
/// method; a timeout, a broken connection, or one of 408, 425, 429, 500, 502, 503 and 504, if the method is idempotent (RFC 9110
/// §9.2.2) or the request says that it is; and 429 and 503 with `Retry-After`, whatever the method, since the server says that it
/// did not process the request.
///
/// Args:
///     attempts: How often a request is sent in all.
///     total: The seconds in which an attempt may begin, counted from the call.
///     pauses: The bound of the first pause and the highest bound, in seconds. A pause is drawn anew each time, from nothing up to
///         a bound that doubles.
///     retry: Statuses that are retried as well, such as 404.
///     do_not_retry: Statuses that are an answer like others.
///
/// Raises:
///     ValueError: A number cannot be meant.
///
/// >>> from keyfob import BearerAuthSession, RetryPolicy
/// >>> session = BearerAuthSession("mF_9.B5f-4.1JqM")
/// >>> session.retry = RetryPolicy(attempts=6, total=30, retry=[404])
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct RetryPolicy {
    pub(crate) core: Arc<CorePolicy>,
}

#[pymethods]
impl RetryPolicy {
    #[new]
    #[pyo3(signature = (*, attempts=4, total=90.0, pauses=(0.2, 20.0), retry=Codes::default(), do_not_retry=Codes::default()),
            text_signature = "(*, attempts=4, total=90.0, pauses=(0.2, 20.0), retry=(), do_not_retry=())")]
    fn new(
        attempts: u32,
        total: f64,
        pauses: (f64, f64),
        retry: Codes,
        do_not_retry: Codes,
    ) -> PyResult<Self> {
        if attempts == 0 {
            return Err(PyValueError::new_err(
                "attempts counts the first one too, so it must be 1 or more",
            ));
        }
        let policy = CorePolicy::default()
            .attempts(attempts)
            .total(seconds("total", total)?)
            .pauses(seconds("pauses", pauses.0)?, seconds("pauses", pauses.1)?);
        let policy = statuses(retry)?.into_iter().fold(policy, CorePolicy::retry);
        Self::without(policy, do_not_retry)
    }

    /// The same rules on the same budget, less these statuses.
    fn except_for(&self, statuses: Codes) -> PyResult<Self> {
        Self::without(CorePolicy::clone(&self.core), statuses)
    }

    /// The same rules with a budget of their own.
    fn with_own_budget(&self) -> Self {
        Self {
            core: Arc::new(self.core.with_own_budget()),
        }
    }
}

impl RetryPolicy {
    fn without(policy: CorePolicy, codes: Codes) -> PyResult<Self> {
        let policy = statuses(codes)?
            .into_iter()
            .fold(policy, CorePolicy::do_not_retry);
        Ok(Self {
            core: Arc::new(policy),
        })
    }
}

/// Status codes in any collection, a set included, which is no sequence.
#[derive(Default)]
struct Codes(Vec<u16>);

impl<'py> FromPyObject<'_, 'py> for Codes {
    type Error = PyErr;

    fn extract(codes: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let codes = codes.try_iter()?.map(|code| code?.extract());
        codes.collect::<PyResult<_>>().map(Self)
    }
}

fn statuses(codes: Codes) -> PyResult<Vec<StatusCode>> {
    let status = |code| {
        StatusCode::from_u16(code)
            .map_err(|_| PyValueError::new_err(format!("{code} is no HTTP status code")))
    };
    codes.0.into_iter().map(status).collect()
}
