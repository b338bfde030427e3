//! One logical request: what its answers and failures mean, as the library judges them.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use keyfob::Error;
use keyfob::custom_client::Authenticator;
use keyfob::exchange::{Exchange as CoreExchange, Failure, Idempotency, Outcome, Replay, Step};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::{IntoPyObjectExt, intern};

use crate::cache::TokenCache;
use crate::inside::Inside;
use crate::lease::Lease;
use crate::policy::RetryPolicy;
use crate::renew::Renew;

/// One logical request: the attempts that have failed, and what may still be done.
#[pyclass(module = "keyfob._core")]
pub(crate) struct Exchange {
    authenticator: Authenticator,
    core: CoreExchange,
}

/// Pause, then send again.
#[pyclass(frozen, get_all, module = "keyfob._core")]
pub(crate) struct Wait {
    /// The pause, in seconds.
    pause: f64,
}

#[pymethods]
impl Exchange {
    /// A request that begins now. `idempotent` if it says so itself, whatever its method; `replayable` if its body can be
    /// sent again in full.
    #[new]
    fn new(
        cache: &TokenCache,
        policy: &RetryPolicy,
        method: &str,
        idempotent: bool,
        replayable: bool,
    ) -> PyResult<Self> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| PyValueError::new_err(format!("{method:?} is no method of HTTP")))?;
        let effect = if idempotent {
            Idempotency::Idempotent
        } else {
            Idempotency::of(&method, &HeaderMap::new())
        };
        let replay = if replayable {
            Replay::Possible
        } else {
            Replay::Impossible
        };
        let authenticator = cache.authenticator();
        let now = authenticator.now().elapsed;
        Ok(Self {
            core: CoreExchange::new(policy.core.clone(), effect, replay, now),
            authenticator,
        })
    }

    /// The seconds in which another attempt may begin.
    #[getter]
    fn max_wait(&self) -> f64 {
        let now = self.authenticator.clock().elapsed();
        self.core.max_wait(now).as_secs_f64()
    }

    /// A redirect turned the request into one without a body that changes nothing.
    fn downgrade_to_get(&mut self) {
        self.core.downgrade_to_get();
    }

    /// Judges an answer to a request that carried this lease, or none: `Wait`, `Renew`, or `None` if it is the caller's.
    fn answered(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        status: u16,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Ok(status) = StatusCode::from_u16(status) else {
            return Ok(None);
        };
        let headers = converted(headers, self.core.judged_fields(status))?;
        self.judge(py, lease, Outcome::Response(status, &headers))
    }

    /// Judges a failure: `connect`, `timeout`, `broken` or `final`.
    fn failed(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        failure: &str,
    ) -> PyResult<Option<Py<PyAny>>> {
        let failure = match failure {
            "connect" => Failure::Connect,
            "timeout" => Failure::Timeout,
            "broken" => Failure::Broken,
            _ => Failure::Final,
        };
        self.judge(py, lease, Outcome::Failure(failure))
    }

    /// Tells the log that there is no token for another attempt, so that the answer in hand is the last.
    fn given_up(&self, error: String) {
        self.authenticator
            .will_not_retry(&Error::unavailable(error));
    }
}

impl Exchange {
    fn judge(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        outcome: Outcome<'_>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let now = || self.authenticator.now();
        let step = match lease {
            Some(_) => self.core.judge(outcome, now),
            None => self.core.judge_without_credential(outcome, now),
        };
        match (step, lease) {
            (Step::Wait(pause, cause), _) => {
                self.authenticator.will_retry(cause, pause);
                let pause = pause.as_secs_f64();
                Wait { pause }.into_py_any(py).map(Some)
            }
            (Step::Renew(challenges), _) => Renew { challenges }.into_py_any(py).map(Some),
            (Step::Reject(challenges), Some(lease)) => {
                let tokens = self.authenticator.tokens();
                tokens.reject(&lease.core, &challenges);
                Ok(None)
            }
            (Step::Reject(_) | Step::Done, _) => Ok(None),
        }
    }
}

/// Those of the named fields that a mapping has.
fn converted(
    headers: &Bound<'_, PyAny>,
    names: impl Iterator<Item = HeaderName>,
) -> PyResult<HeaderMap> {
    let _inside = Inside::enter_attached(headers.py());
    let get = headers.getattr(intern!(headers.py(), "get"))?;
    let mut fields = HeaderMap::new();
    for name in names {
        let Ok(value) = get.call1((name.as_str(),))?.extract::<String>() else {
            continue;
        };
        // Header values are Latin-1 (RFC 9110 §5.5); what else there is says nothing.
        let bytes: Vec<u8> = value
            .chars()
            .map(|c| u8::try_from(c).unwrap_or(b'?'))
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            fields.insert(name, value);
        }
    }
    Ok(fields)
}
