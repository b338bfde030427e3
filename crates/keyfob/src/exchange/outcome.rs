//! What an exchange is given: what a request allows, and what came of an attempt.

use std::error::Error as StdError;
use std::io;

use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::error::error::{Error, ErrorKind, causes};
use crate::exchange::budget::RetryCost;
use crate::exchange::retry_after::RetryAfter;
use crate::exchange::tunnel::is_refused_for_good;

/// The header field by which a client promises that a request takes effect once, however often it is sent.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether sending a request twice has the effect of sending it once.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// It has. The request is retried whenever that may help.
    Idempotent,
    /// It has not. The request is retried only if the server cannot have processed it.
    NotIdempotent,
}

impl Idempotency {
    /// Reads it from the method (RFC 9110 §9.2.2) and from an [`IDEMPOTENCY_KEY`].
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        match *method {
            Method::GET
            | Method::HEAD
            | Method::OPTIONS
            | Method::TRACE
            | Method::PUT
            | Method::DELETE => Self::Idempotent,
            _ if headers.contains_key(IDEMPOTENCY_KEY) => Self::Idempotent,
            _ => Self::NotIdempotent,
        }
    }
}

/// Whether the body of a request can be sent again in full.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It can. This includes a request without a body.
    Possible,
    /// It can be read only once, and is gone after the first attempt.
    Impossible,
}

/// What came of an attempt.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The head of a response, whatever its status.
    Response(StatusCode, &'a HeaderMap),
    /// No response.
    Failure(Failure),
}

/// Why an attempt got no response, which decides whether the request may be sent again.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// There was no connection, and nothing was sent. Retried whatever the method.
    Connect,
    /// The connection was refused, as while a server restarts. Retried whatever the method, after longer pauses.
    ConnectionRefused,
    /// A timeout. The server may have received the request. Retried if the request is idempotent.
    Timeout,
    /// The connection broke. The server may have received the request. Retried if the request is idempotent.
    Broken,
    /// A failure that would occur again, such as a certificate that is not trusted. Not retried.
    Final,
}

impl Failure {
    /// Classifies the failure of a connection that was not made, so that nothing can have been sent.
    pub(crate) fn of_connect(error: &(dyn StdError + 'static)) -> Self {
        if is_refused_for_good(error) {
            return Self::Final;
        }
        let io = causes(error).filter_map(|cause| cause.downcast_ref().map(io::Error::kind));
        let known = |kind| match kind {
            io::ErrorKind::ConnectionRefused => Some(Self::ConnectionRefused),
            // rustls reports a certificate that is not trusted in this way.
            io::ErrorKind::InvalidData => Some(Self::Final),
            _ => None,
        };
        io.filter_map(known).last().unwrap_or(Self::Connect)
    }

    /// The error for the caller of a request with this method and origin.
    pub(crate) fn error(self, destination: &str) -> Error {
        let what = match self {
            Self::Connect => "found no connection",
            Self::ConnectionRefused => {
                "found no server that accepts connections; check that it runs"
            }
            Self::Timeout => "timed out; set `timeout` if the server needs longer",
            Self::Broken => "lost its connection",
            Self::Final => "failed, and would fail again",
        };
        Error::new(ErrorKind::Transport, format!("{destination} {what}"))
    }
}

/// A response or failure that may be worth another attempt.
pub(crate) struct Retryable {
    /// The reason, for logs and metrics.
    pub(crate) cause: &'static str,
    pub(crate) cost: RetryCost,
    /// The server did not process the request, so that any method may be sent again.
    pub(crate) unprocessed: bool,
    pub(crate) retry_after: Option<RetryAfter>,
}

impl Retryable {
    pub(crate) fn response(status: StatusCode, headers: &HeaderMap) -> Self {
        let retry_after = RetryAfter::from_headers(headers);
        let throttled = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let cost = match throttled {
            true => RetryCost::Throttled,
            false => RetryCost::Failure,
        };
        Self {
            cause: "status",
            cost,
            unprocessed: throttled && retry_after.is_some(),
            retry_after,
        }
    }

    pub(crate) fn failure(failure: Failure) -> Option<Self> {
        let (cause, cost, unprocessed) = match failure {
            Failure::Connect => ("connect", RetryCost::Failure, true),
            Failure::ConnectionRefused => ("connect", RetryCost::Refused, true),
            Failure::Timeout => ("timeout", RetryCost::Failure, false),
            Failure::Broken => ("broken connection", RetryCost::Failure, false),
            Failure::Final => return None,
        };
        Some(Self {
            cause,
            cost,
            unprocessed,
            retry_after: None,
        })
    }
}

/// The default of each timeout: of an attempt (R8), of making a connection, and of a request to an authorization server.
pub(crate) const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn r4_post_and_patch_are_not_idempotent() {
        for (method, idempotent) in [
            (Method::GET, true),
            (Method::PUT, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
            (Method::CONNECT, false),
        ] {
            let read = Idempotency::of(&method, &HeaderMap::new());
            assert_eq!(read == Idempotency::Idempotent, idempotent, "{method}");
        }
    }

    #[test]
    fn r4_an_idempotency_key_makes_a_post_idempotent() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            Idempotency::of(&Method::POST, &headers),
            Idempotency::NotIdempotent
        );
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("8e03978e"));
        assert_eq!(
            Idempotency::of(&Method::POST, &headers),
            Idempotency::Idempotent
        );
    }
}
