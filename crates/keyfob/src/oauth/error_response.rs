//! What an authorization server's error response means: whether it is permanent, and when to ask again.

use http::StatusCode;
use huskarl_core::{OAuthError, OAuthErrorCode};

use crate::error::error::Error;
use crate::exchange::proof::DPOP_NONCE;
use crate::oauth::endpoint::{Endpoint, ServerResponse};

/// The error code in the body (`error`, RFC 6749 §5.2), if there is one.
pub(crate) fn error_code(response: &ServerResponse) -> Option<OAuthErrorCode> {
    let error: OAuthError = serde_json::from_slice(&response.body).ok()?;
    Some(error.code().clone())
}

/// Returns a success, and turns any other response into its error.
pub(crate) fn require_success(
    endpoint: &Endpoint,
    response: ServerResponse,
) -> Result<ServerResponse, Error> {
    match response.status.is_success() {
        true => Ok(response),
        false => Err(error_of(endpoint, &response)),
    }
}

/// The error that a response with a status other than 2xx means (T2).
///
/// It shows the error code of the body only if the code is registered. The rest of the body may quote the request (S3).
fn error_of(endpoint: &Endpoint, response: &ServerResponse) -> Error {
    let status = response.status;
    if status.is_redirection() {
        // Not permanent: gateways redirect to a page of their own during maintenance.
        return Error::unavailable(format!(
            "{endpoint} redirected the request ({status}), and redirects are not followed; configure the final URL"
        ));
    }
    let code = error_code(response);
    let detail = match &code {
        None => "without an error code".to_owned(),
        Some(OAuthErrorCode::Other(_)) => "with an error code that is not registered".to_owned(),
        Some(code) => format!("with `{}`", code.as_str()),
    };
    let message = format!("{endpoint} refused {detail} ({})", status.as_u16());
    response.add_pause(match is_permanent(status, code.as_ref()) {
        true => Error::refused(message),
        false => Error::unavailable(message),
    })
}

/// The person or the server denied the sign-in (RFC 6749 §4.1.2.1, RFC 8628 §3.5).
pub(crate) fn access_denied() -> Error {
    Error::refused("the person or the server denied the sign-in (`access_denied`)")
}

/// Whether the server wants the request again, with the nonce of this response in the proof (RFC 9449 §8).
pub(crate) fn requires_nonce(response: &ServerResponse) -> bool {
    !response.status.is_success()
        && response.headers.contains_key(DPOP_NONCE)
        && error_code(response) == Some(OAuthErrorCode::UseDPoPNonce)
}

/// Whether the same request would fail again.
fn is_permanent(status: StatusCode, code: Option<&OAuthErrorCode>) -> bool {
    match status {
        // RFC 6749 §5.2 names 400 and 401, and some servers send 403. Only these error codes say that the same request may
        // succeed later.
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => !matches!(
            code,
            Some(
                OAuthErrorCode::TemporarilyUnavailable
                    | OAuthErrorCode::ServerError
                    | OAuthErrorCode::SlowDown
                    | OAuthErrorCode::AuthorizationPending
                    | OAuthErrorCode::UseDPoPNonce
            )
        ),
        // A gateway in front of the server may cause any other status, such as 404, 405 or 413.
        _ => false,
    }
}
