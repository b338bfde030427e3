//! One logical request: the library decides what its responses and failures lead to.

use std::mem;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use keyfob::custom_client::Authenticator;
use keyfob::exchange::{
    Challenges, Exchange as CoreExchange, Failure, Idempotency, OnRedirect, Outcome, RedirectBody,
    Replay, Step,
};
use keyfob::{Error, Origin};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::cache::cache::TokenCache;
use crate::cache::lease::{Lease, Renew, secret};
use crate::client::origins::{Origins, local_name, of_request};
use crate::client::retry_policy::RetryPolicy;
use crate::convert::{header_map, header_text};
use crate::error::{exception, origin_error};

/// One logical request: its failed attempts, and whether its next attempt carries the credential.
#[pyclass(module = "keyfob._core")]
pub(crate) struct Exchange {
    authenticator: Authenticator,
    core: CoreExchange,
    method: Method,
    /// The origin of the last attempt. Without one, the credential follows no redirect.
    origin: Option<Origin>,
    /// The URL of the last attempt that carried a proof.
    proved: Option<String>,
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
            Some(url) => Some(of_request(py, url)?),
            None => None,
        };
        if let Some(origin) = &origin
            && request.with_credential
        {
            origins.check_name(py, origin)?;
        }
        let authenticator = cache
            .authenticator(py, origins.current())?
            .budget(Arc::clone(&policy.budget));
        let method = http_method(&request.method)?;
        let idempotency = if request.idempotent {
            Idempotency::Idempotent
        } else {
            Idempotency::of(&method, &HeaderMap::new())
        };
        let replay = if request.replayable {
            Replay::Possible
        } else {
            Replay::Impossible
        };
        let mut core = match &origin {
            Some(origin) if request.with_credential => authenticator
                .begin(origin, &policy.core, idempotency, replay)
                .map_err(|error| origin_error(py, &error))?,
            _ => authenticator.begin_unchecked(&policy.core, idempotency, replay),
        };
        if !request.with_credential {
            core.leave_credential();
        }
        Ok(Self {
            core,
            authenticator,
            method,
            origin,
            proved: None,
            with_credential: request.with_credential,
        })
    }

    /// The time in which another attempt may begin, in seconds.
    #[getter]
    fn max_wait(&self) -> f64 {
        self.authenticator.max_wait(&self.core).as_secs_f64()
    }

    /// Whether the next attempt carries the credential in plain text, which must then not leave this machine.
    #[getter]
    fn stays_local(&self) -> bool {
        let is_plain_loopback = |origin: &Origin| !origin.is_https() && origin.is_loopback();
        self.with_credential && self.origin.as_ref().is_some_and(is_plain_loopback)
    }

    /// The host of a request in plain text to this machine, if it is a name: the caller has to check its addresses.
    #[getter]
    fn local_name(&self) -> Option<String> {
        self.origin.as_ref().and_then(local_name)
    }

    /// The `DPoP` header for an attempt with this lease, if the token is bound to a key; a new one for each attempt (R7).
    ///
    /// Raises an error if the token is not bound to the key, so that nothing is sent (R2).
    fn proof<'py>(
        &mut self,
        py: Python<'py>,
        lease: &Lease,
        method: &str,
        url: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let method = http_method(method)?;
        let credential = self.authenticator.credential(&lease.core, &method, || url);
        let credential = credential.map_err(|error| exception(py, &error))?;
        let Some(proof) = credential.proof() else {
            return Ok(None);
        };
        self.proved = Some(url.to_owned());
        secret(py, &header_text(proof)).map(Some)
    }

    /// Follows a redirect to this URL; false if the credential stays behind.
    fn redirected(&mut self, py: Python<'_>, url: &str, method: &str) -> bool {
        let body = if method == self.method.as_str() {
            RedirectBody::Kept
        } else {
            RedirectBody::Dropped
        };
        // The next redirect changes this request, and not the first one.
        if let Ok(method) = http_method(method) {
            self.method = method;
        }
        let from = mem::replace(&mut self.origin, of_request(py, url).ok());
        if let (Some(from), Some(to)) = (from, &self.origin) {
            self.with_credential &= self.core.redirected(&from, to, body);
        } else {
            // A URL such as `mock://` has no origin to compare, and that of an odd URL is unknown.
            self.core.leave_credential();
            self.with_credential = false;
        }
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
        if let (Some(url), Some(_)) = (self.proved.take(), lease) {
            self.authenticator.record_nonce(|| &url, status, &headers);
        }
        self.judge(py, lease, Outcome::Response(status, &headers))
    }

    /// Whether a response to an attempt with the credential rejects it.
    fn rejects(&self, status: u16, headers: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(status) = StatusCode::from_u16(status) else {
            return Ok(false);
        };
        let headers = header_map(headers, self.core.judged_fields(status))?;
        Ok(self.authenticator.rejects(status, &headers))
    }

    /// Judges a failure: `connect`, `refused`, `timeout`, `broken` or `final`.
    fn on_failure(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        failure: &str,
    ) -> PyResult<Option<Py<PyAny>>> {
        let failure = match failure {
            "connect" => Failure::Connect,
            "refused" => Failure::ConnectionRefused,
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

fn http_method(method: &str) -> PyResult<Method> {
    Method::from_bytes(method.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{method:?} is not an HTTP method")))
}

impl Exchange {
    fn judge(
        &mut self,
        py: Python<'_>,
        lease: Option<&Lease>,
        outcome: Outcome<'_>,
    ) -> PyResult<Option<Py<PyAny>>> {
        if lease.is_none() {
            self.core.use_callers_credential();
        }
        let step = self
            .authenticator
            .judge(&mut self.core, outcome, OnRedirect::Return)
            .expect("a redirect that is returned is no error");
        match (step, lease) {
            (Step::Wait(pause, _), _) => {
                let pause = pause.as_secs_f64();
                Wait { pause }.into_py_any(py).map(Some)
            }
            (Step::Renew(challenges), _) => renew(py, challenges, true),
            // Renewed before the response is returned, so that a request that the caller rebuilds gets the new token.
            (Step::Reject(challenges), Some(_)) => renew(py, challenges, false),
            (Step::Reject(_) | Step::Follow(_) | Step::Done, _) => Ok(None),
        }
    }
}

fn renew(py: Python<'_>, challenges: Challenges, replay: bool) -> PyResult<Option<Py<PyAny>>> {
    Renew { challenges, replay }.into_py_any(py).map(Some)
}
