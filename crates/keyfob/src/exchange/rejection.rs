//! Which responses mean that the server rejected the credential.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::error::error::Error;
use crate::exchange::challenge::Challenges;

/// The statuses that mean a rejected credential, in addition to 401.
#[derive(Clone, Debug, Default)]
pub(crate) struct RejectedStatuses(
    // Nothing is allocated or counted for a client that sets none, because each request has a clone.
    Option<Arc<[StatusCode]>>,
);

impl RejectedStatuses {
    /// These statuses, if each is one of an error.
    pub(crate) fn new(statuses: impl IntoIterator<Item = StatusCode>) -> Result<Self, Error> {
        let statuses: Arc<[_]> = statuses.into_iter().collect();
        // A success or a redirect would be renewed for, and then sent to the caller, on every request.
        let is_error = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        match statuses.iter().find(|status| !is_error(status)) {
            Some(status) => Err(Error::input(format!(
                "the status {} cannot mean a rejected token; give statuses from 400 to 599",
                status.as_u16()
            ))),
            None => Ok(Self((!statuses.is_empty()).then_some(statuses))),
        }
    }

    /// Whether this response refuses the credential.
    ///
    /// HTTP does so with 401, and gRPC with 200 and, if no message follows, a header field. RFC 6750 §3.1 ties
    /// `invalid_token` to 401, but servers send it with other statuses too. A success is no refusal.
    pub(crate) fn refuse(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        const UNAUTHENTICATED: &[u8] = b"16";
        status == StatusCode::UNAUTHORIZED
            || self.0.as_ref().is_some_and(|set| set.contains(&status))
            || headers
                .get(&GRPC_STATUS)
                .is_some_and(|code| code.as_bytes() == UNAUTHENTICATED)
            || !status.is_success()
                && headers.contains_key(WWW_AUTHENTICATE)
                && Challenges::from_headers(headers).invalid_token()
    }
}

/// The header field with the status of a gRPC call.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_no_error_cannot_mean_a_rejection() {
        for status in [100, 200, 204, 302, 399, 600, 999] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = RejectedStatuses::new([StatusCode::FORBIDDEN, status]).unwrap_err();
            assert!(error.to_string().contains(status.as_str()), "{error}");
        }
        for status in [400, 403, 498, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            let rejected = RejectedStatuses::new([status]).unwrap();
            assert!(rejected.refuse(status, &HeaderMap::new()));
            assert!(!RejectedStatuses::default().refuse(status, &HeaderMap::new()));
        }
    }
}
