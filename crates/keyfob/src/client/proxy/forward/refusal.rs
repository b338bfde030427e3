//! Why the proxy refuses a request, and what the program is told.

use std::borrow::Cow;

use http::header::{CONNECTION, PROXY_AUTHENTICATE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::report::Report;
use crate::error::error::ErrorKind;
use crate::origin::origin::Origin;

/// A request that is not sent.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) detail: Cow<'static, str>,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    pub(super) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn unreachable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, detail)
    }

    /// The request is for another server than its connection.
    pub(super) fn misdirected(target: &Origin) -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("the request is for another server than its connection, which is to {target}"),
        )
    }

    /// The program does not have the secret of this run.
    pub(super) fn no_secret() -> Self {
        Self::new(
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            "the secret of this run is missing or wrong; use the proxy's URL as it is in HTTPS_PROXY",
        )
    }

    /// The program has not used its stand-in, and must.
    pub(super) fn no_stand_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "the request has no stand-in; send the value that stands for the token",
        )
    }

    pub(super) fn into_response(self) -> Response<ProxyBody> {
        let kind = match self.status {
            StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => ErrorKind::Origin,
            StatusCode::BAD_GATEWAY => ErrorKind::Unavailable,
            _ => ErrorKind::Input,
        };
        let problem = Problem::new(self.status, kind, self.detail);
        let mut response = problem.into_response(Report::default());
        let headers = response.headers_mut();
        match self.status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                headers.insert(PROXY_AUTHENTICATE, BASIC);
            }
            StatusCode::UNAUTHORIZED => {
                headers.append(WWW_AUTHENTICATE, BASIC);
                headers.append(WWW_AUTHENTICATE, BEARER);
            }
            // A parser that was tricked once reads the rest of the connection as it likes.
            StatusCode::BAD_REQUEST | StatusCode::MISDIRECTED_REQUEST => {
                headers.insert(CONNECTION, CLOSE);
            }
            _ => (),
        }
        response
    }
}

const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"keyfob\"");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"keyfob\"");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
