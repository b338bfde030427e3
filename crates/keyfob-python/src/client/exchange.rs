//! One logical request: the library decides what its responses and failures lead to.

use http::{HeaderMap, Method, StatusCode};
use keyfob::custom_client::Authenticator;
use keyfob::exchange::{Exchange as CoreExchange, Failure, Idempotency, Outcome, Replay, Step};
use keyfob::{Error, Origin};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::cache::cache::TokenCache;
use crate::cache::lease::{Lease, Renew};
use crate::client::origins::{Origins, parse};
use crate::client::retry_policy::RetryPolicy;
use crate::convert::header_map;
use crate::error::origin_error;

/// One logical request: its failed attempts, and whether its next attempt carries the credential.
#[pyclass(module = "keyfob._core")]
pub(crate) struct Exchange {
    authenticator: Authenticator,
    core: CoreExchange,
    method: Method,
    /// The origin of the first attempt. Without one, the credential follows no redirect.
    origin: Option<Origin>,
    /// Whether the next attempt carries the credential.
    #[pyo3(get)]
    with_credential: bool,
}

/// The facts about a request that an exchange needs: `keyfob._values.RequestInfo`.
#[derive(FromPyObject)]
pub(crate) struct RequestInfo {
    method: String,
    url: Option<String>,
    idempotent: bool,
    replayable: bool,
    with_credential: bool,
}

/// Pause, then send the request again.
#[pyclass(frozen, get_all, module = "keyfob._core")]
pub(crate) struct Wait {
    /// The pause, in seconds.
    pause: f64,
}

#[pymethods]
impl Exchange {
    /// Begins now. Raises `OriginError` if the credential may not go to the URL.
    #[new]
    fn new(
        py: Python<'_>,
        cache: &TokenCache,
        origins: &Origins,
        policy: &RetryPolicy,
        request: RequestInfo,
    ) -> PyResult<Self> {
        let origin = match &request.url {
            Some(url) => Some(parse(py, url)?),
            None => None,
        };
        let authenticator = cache.authenticator(origins.current());
        if let (Some(origin), true) = (&origin, request.with_credential) {
            let checked = authenticator.origins().check(origin);
            checked.map_err(|error| origin_error(py, &error))?;
        }
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| {
            PyValueError::new_err(format!("{:?} is not an HTTP method", request.method))
        })?;
        let effect = if request.idempotent {
            Idempotency::Idempotent
        } else {
            Idempotency::of(&method, &HeaderMap::new())
        };
        let replay = if request.replayable {
            Replay::Possible
        } else {
            Replay::Impossible
        };
        let now = authenticator.now().elapsed;
        Ok(Self {
            core: authenticator.exchange(policy.core.clone(), effect, replay, now),
            authenticator,
            method,
            origin,
            with_credential: request.with_credential,
        })
    }

    /// The time in which another attempt may begin, in seconds.
    #[getter]
    fn max_wait(&self) -> f64 {
        let now = self.authenticator.clock().elapsed();
        self.core.max_wait(now).as_secs_f64()
    }

    /// Follows a redirect to this URL; false if the credential stays behind.
    fn redirected(&mut self, url: &str, method: &str) -> bool {
        if method != self.method.as_str() {
            self.core.downgrade_to_get();
        }
        self.with_credential &= self.origin.is_some() && self.origin == url.parse().ok();
        self.with_credential
    }

    /// Judges a response to a request with this lease, or with none: `Wait`, `Renew`, or `None` if it is the last one.
    fn on_response(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        status: u16,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Ok(status) = StatusCode::from_u16(status) else {
            return Ok(None);
        };
        let headers = header_map(headers, self.core.judged_fields(status))?;
        self.judge(py, lease, Outcome::Response(status, &headers))
    }

    /// Judges a failure: `connect`, `timeout`, `broken` or `final`.
    fn on_failure(
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

    /// Logs that there is no token for another attempt, so that the last response is returned.
    fn will_not_retry(&self, error: String) {
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
