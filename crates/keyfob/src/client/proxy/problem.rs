//! The responses that the proxy makes itself (RFC 9457).

use std::time::Duration;

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::report::Report;
use crate::error::error::ErrorKind;

/// A failure that the client of the proxy is told.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) kind: ErrorKind,
    pub(crate) detail: String,
    pub(crate) retry_after: Option<Duration>,
    /// The methods that are allowed.
    pub(crate) allow: Option<HeaderValue>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// A request that the proxy does not accept.
    pub(crate) fn input(status: StatusCode, detail: &'static str) -> Self {
        Self::new(status, ErrorKind::Input, detail)
    }

    /// A request that is malformed, or could be read in several ways.
    pub(crate) fn bad_request(detail: &'static str) -> Self {
        Self::input(StatusCode::BAD_REQUEST, detail)
    }

    /// An upstream that does not behave.
    pub(crate) fn upstream(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, ErrorKind::Transport, detail)
    }

    pub(crate) fn into_response(self, mut report: Report) -> Response<ProxyBody> {
        let mut response = response(self.status, self.kind.name(), &self.detail);
        let headers = response.headers_mut();
        if let Some(pause) = self.retry_after {
            // Rounded up: a client that comes back too early gets the same answer.
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::BAD_REQUEST {
            // What follows a request that was not understood may not be what the client means.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, methods);
        }
        report.error = Some(self.kind);
        response.extensions_mut().insert(report);
        response
    }
}

/// A response that says why a request was not sent. `kind` is for programs.
pub(crate) fn response(status: StatusCode, kind: &str, detail: &str) -> Response<ProxyBody> {
    let text = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
        "kind": kind,
    });
    let mut response = Response::new(ProxyBody::own(text.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    response
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
