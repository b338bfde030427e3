//! What is retried, how often, and after which pause.

use std::sync::Arc;
use std::time::Duration;

use keyfob::RetryPolicy as CorePolicy;
use keyfob::exchange::RetryBudget;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::{Codes, seconds, statuses};

/// What is retried, how often, and after which pause.
///
/// A request is retried only if its body can be sent again in full. Then these failures are retried: a connection that failed
/// before anything was sent, for any method; a timeout, a broken connection, or a status 408, 425, 429, 500, 502, 503 or 504, if
/// the method is idempotent (RFC 9110 §9.2.2) or the request is marked as idempotent; 429 and 503 with `Retry-After`, for any
/// method, because the server says that it did not process the request.
///
/// Args:
///     attempts: How often a request is sent at most, the first time included.
///     total: The time in which an attempt may begin, in seconds from the call.
///     pauses: The bound of the first pause and the highest bound, in seconds. Each pause is random, between zero and a bound that
///         doubles each time. After a refused connection the pauses are longer, so that a server has 5 seconds to restart.
///     retry: Additional statuses to retry, such as 404.
///     do_not_retry: Statuses to return instead of retrying them.
///
/// Raises:
///     ValueError: A number is out of range.
///
/// >>> from keyfob import BearerAuthSession, RetryPolicy
/// >>> session = BearerAuthSession("mF_9.B5f-4.1JqM")
/// >>> session.retry = RetryPolicy(attempts=6, total=30, retry=[404])
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct RetryPolicy {
    pub(crate) core: Arc<CorePolicy>,
    /// The retry budget that all sessions with this policy share.
    pub(crate) budget: Arc<RetryBudget>,
}

#[pymethods]
impl RetryPolicy {
    #[new]
    #[pyo3(signature = (*, attempts=CorePolicy::ATTEMPTS, total=TOTAL, pauses=PAUSES, retry=Codes::default(), do_not_retry=Codes::default()),
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
                "attempts must be 1 or more, because it counts the first attempt too",
            ));
        }
        let policy = CorePolicy::default()
            .attempts(attempts)
            .total(seconds("total", total)?)
            .pauses(seconds("pauses", pauses.0)?, seconds("pauses", pauses.1)?);
        let policy = statuses(retry)?.into_iter().fold(policy, CorePolicy::retry);
        Self::without(policy, Arc::default(), do_not_retry)
    }

    /// The same policy with the same budget, without these statuses.
    fn except_for(&self, statuses: Codes) -> PyResult<Self> {
        let policy = CorePolicy::clone(&self.core);
        Self::without(policy, Arc::clone(&self.budget), statuses)
    }

    /// The same policy with a budget of its own.
    fn with_own_budget(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            budget: Arc::default(),
        }
    }
}

impl RetryPolicy {
    /// The library's default of each argument.
    pub(crate) fn defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let none = PyTuple::empty(py);
        let defaults = PyDict::new(py);
        defaults.set_item("attempts", CorePolicy::ATTEMPTS)?;
        defaults.set_item("total", TOTAL)?;
        defaults.set_item("pauses", PAUSES)?;
        defaults.set_item("retry", &none)?;
        defaults.set_item("do_not_retry", &none)?;
        Ok(defaults)
    }

    /// The statuses that the library retries by default.
    pub(crate) fn statuses() -> Vec<u16> {
        CorePolicy::STATUSES.map(|status| status.as_u16()).to_vec()
    }

    fn without(policy: CorePolicy, budget: Arc<RetryBudget>, codes: Codes) -> PyResult<Self> {
        let policy = statuses(codes)?
            .into_iter()
            .fold(policy, CorePolicy::do_not_retry);
        Ok(Self {
            core: Arc::new(policy),
            budget,
        })
    }
}

const TOTAL: f64 = in_seconds(CorePolicy::TOTAL);
const PAUSES: (f64, f64) = (
    in_seconds(CorePolicy::FIRST_PAUSE),
    in_seconds(CorePolicy::LONGEST_PAUSE),
);

/// `Duration::as_secs_f64` for constants of whole milliseconds.
const fn in_seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
