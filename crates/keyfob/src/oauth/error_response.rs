//! What an authorization server's refusal means: whether it stays, and for how long to leave the server alone.

use std::time::SystemTime;

use http::StatusCode;
use huskarl_core::{OAuthError, OAuthErrorCode};

use crate::error::error::Error;
use crate::exchange::exchange::DPOP_NONCE;
use crate::exchange::retry_after::RetryAfter;
use crate::oauth::endpoint::{Answer, Endpoint};

/// The code that RFC 6749 §5.2 has an error answer carry, if it is there.
pub(crate) fn code(answer: &Answer) -> Option<OAuthErrorCode> {
    let error: OAuthError = serde_json::from_slice(&answer.body).ok()?;
    Some(error.code().clone())
}

/// The error that an answer other than 2xx is (T2).
///
/// Of the body it names the code alone, and that only if it is a registered one: the rest may quote what was sent.
pub(crate) fn refusal(endpoint: &Endpoint, answer: &Answer, now: SystemTime) -> Error {
    let status = answer.status;
    if status.is_redirection() {
        return Error::unavailable(format!(
            "{endpoint} answered with a redirect ({status}), which is not followed; give the URL that it leads to"
        ));
    }
    let code = code(answer);
    let named = match &code {
        None => "without an error code of OAuth".to_owned(),
        Some(OAuthErrorCode::Other(_)) => "with an error code that is not registered".to_owned(),
        Some(code) => format!("with `{}`", code.as_str()),
    };
    let message = format!("{endpoint} refused {named} ({})", status.as_u16());
    let error = if stays(status, code.as_ref()) {
        Error::refused(message)
    } else {
        Error::unavailable(message)
    };
    match RetryAfter::from_headers(&answer.headers) {
        Some(pause) => error.retry_after(pause.wait(now)),
        None => error,
    }
}

/// The person, or the server in that name, did not let a sign-in happen (RFC 6749 §4.1.2.1, RFC 8628 §3.5).
pub(crate) fn denied() -> Error {
    Error::refused("the sign-in was refused by the person or the server (`access_denied`)")
}

/// Whether the proof of possession has to have the nonce that this answer gives (RFC 9449 §8).
pub(crate) fn wants_nonce(answer: &Answer) -> bool {
    !answer.status.is_success()
        && answer.headers.contains_key(DPOP_NONCE)
        && code(answer) == Some(OAuthErrorCode::UseDPoPNonce)
}

/// Whether the same request would be refused for ever.
fn stays(status: StatusCode, code: Option<&OAuthErrorCode>) -> bool {
    match status {
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
        // What stands in front of a server answers 404, 405 or 413 as well.
        _ => false,
    }
}
