//! What an authorization server's error response means: whether it is permanent, and when to ask again.

use http::StatusCode;
use huskarl_core::OAuthErrorCode;

use crate::error::error::Error;
use crate::exchange::proof::DPOP_NONCE;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::error_code::{ErrorCode, error_code, word_without_code};
use crate::oauth::http_client::ServerResponse;
use crate::oauth::response_body::Body;

/// Returns a success, and turns any other response into its error. A success with an error code is an error (GitHub).
pub(crate) fn require_success(
    endpoint: &Endpoint,
    response: ServerResponse,
) -> Result<ServerResponse, Error> {
    let code = error_code(&response);
    match response.status.is_success() && code.is_none() {
        true => Ok(response),
        false => Err(error_of(endpoint, &response, code.as_ref())),
    }
}

/// The error that a response without a token means (T2). The rest of the body may quote the request (S3).
pub(crate) fn error_of(
    endpoint: &Endpoint,
    response: &ServerResponse,
    code: Option<&ErrorCode>,
) -> Error {
    let status = response.status;
    if status.is_redirection() {
        // Not permanent: gateways redirect to a page of their own during maintenance.
        return Error::unavailable(format!(
            "{endpoint} redirected the request ({status}), and redirects are not followed; configure the final URL"
        ));
    }
    if code.is_none()
        && let Some(error) =
            of_intermediary(endpoint, response).or_else(|| of_text(endpoint, response))
    {
        return error;
    }
    let status = status.as_u16();
    let advice = response.clock_advice();
    let is_refusal = is_refusal(response.status, code);
    let is_foreign = code.is_none() && is_refusal && has_content(response);
    let word = match code {
        None => word_without_code(response),
        Some(_) => None,
    };
    let message = match (code, is_of_a_gateway(response.status, code)) {
        (None, true) => format!(
            "a gateway before {endpoint} got no valid response from it ({status}); it may have processed the request"
        ),
        (None, false) => match word {
            Some(word) => format!("{endpoint} refused with `{word}` ({status}){advice}"),
            None if is_foreign => format!("{}{advice}", foreign(endpoint, response)),
            None => format!("{endpoint} refused without an error code ({status}){advice}"),
        },
        (Some(code), true) => format!(
            "a gateway before {endpoint} responded with {code} ({status}); it may have processed the request"
        ),
        (Some(code), false) => format!("{endpoint} refused with {code} ({status}){advice}"),
    };
    // Glewlwyd refuses with a status alone, also a refresh token that was used before.
    let is_definite = code.map_or(!is_foreign, ErrorCode::is_definite);
    let pauses = response.add_pause(Error::unavailable(message.clone()));
    let says_when = pauses.pause().is_some() && !code.is_some_and(ErrorCode::is_about_credential);
    let mut error = match is_refusal && !says_when {
        true => response.add_pause(Error::refused(message)),
        // A server that says when to come back does not mean "never".
        false => pauses,
    };
    if !is_definite {
        error = error.asked_again_later();
    }
    if code.is_some_and(ErrorCode::is_about_client) {
        error = error.refuses_client();
    }
    match refuses_credential(response.status, code) {
        true => error.refuses_credential(),
        false => error,
    }
}

/// Whether a gateway responded in place of the server, which may have processed the request.
///
/// RFC 9110 §15.6.3 and §15.6.5, and what content delivery networks use instead. A registered code is one of the server.
pub(crate) fn is_of_a_gateway(status: StatusCode, code: Option<&ErrorCode>) -> bool {
    matches!(status.as_u16(), 502 | 504 | 520 | 522 | 524 | 598 | 599)
        && !code.is_some_and(ErrorCode::is_registered)
}

/// The error of a response without an error code that is not that of the server, but of a proxy or a gateway on the way to it.
pub(crate) fn of_intermediary(endpoint: &Endpoint, response: &ServerResponse) -> Option<Error> {
    let status = response.status.as_u16();
    let advice = match status {
        407 => "put the user name and the password that it wants into the URL of the proxy",
        511 => "sign in to this network first, with a browser",
        // An error response is JSON (RFC 6749 §5.2). A firewall blocks with a page.
        403 if response.is_page() => {
            "its response is a page for people: ask where it is run to allow this server"
        }
        _ => return None,
    };
    Some(response.add_pause(Error::unavailable(format!(
        "a proxy or a gateway before {endpoint} refused the request ({status}); {advice}"
    ))))
}

/// The error of a page or a text of a firewall or a gateway, which is no error response (RFC 6749 §5.2).
fn of_text(endpoint: &Endpoint, response: &ServerResponse) -> Option<Error> {
    let status = response.status;
    let is_refusal = matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
    (is_refusal && is_text(response))
        .then(|| response.add_pause(Error::unavailable(foreign(endpoint, response))))
}

/// Whether a response has a text in place of members.
pub(crate) fn is_text(response: &ServerResponse) -> bool {
    matches!(response.read(), Body::Unreadable) && has_content(response)
}

/// Whether a response says more than its status: a gateway rarely refuses with a status alone.
fn has_content(response: &ServerResponse) -> bool {
    match response.read() {
        Body::Members(object) => !object.is_empty(),
        Body::Cut | Body::Unreadable => !response.text().trim().is_empty(),
    }
}

/// The message for a refusal that need not be one of the server, because it is no error response (RFC 6749 §5.2).
fn foreign(endpoint: &Endpoint, response: &ServerResponse) -> String {
    let status = response.status.as_u16();
    format!(
        "{endpoint}, or a proxy or a gateway before it, refused the request ({status}) with a text that is none of OAuth; \
         ask where it is run to allow this server, and check the URL"
    )
}

/// Whether another token of the same source could be accepted: an assertion, or a token to exchange.
fn refuses_credential(status: StatusCode, code: Option<&ErrorCode>) -> bool {
    match code.map(|error| &error.code) {
        None => status == StatusCode::UNAUTHORIZED,
        // RFC 8693 §2.2.2 has `invalid_request` for a subject token that is invalid "for any reason".
        Some(OAuthErrorCode::InvalidGrant | OAuthErrorCode::InvalidRequest) => true,
        Some(code) => code.as_str() == "invalid_token",
    }
}

/// The error of a response that refuses the client's authentication (RFC 6749 §5.2, RFC 7521 §4.2.1).
pub(crate) fn refused_client(endpoint: &Endpoint, response: &ServerResponse) -> Option<Error> {
    let code = error_code(response);
    let is_refused = match &code {
        Some(error) => error.code == OAuthErrorCode::InvalidClient,
        None => response.status == StatusCode::UNAUTHORIZED,
    };
    is_refused.then(|| error_of(endpoint, response, code.as_ref()).refuses_credential())
}

/// The person or the server denied the sign-in (RFC 6749 §4.1.2.1, RFC 8628 §3.5).
pub(crate) fn access_denied() -> Error {
    Error::refused("the person or the server denied the sign-in (`access_denied`)")
}

/// Whether the server wants the request again, with the nonce of this response in the proof (RFC 9449 §8).
pub(crate) fn requires_nonce(response: &ServerResponse) -> bool {
    !response.status.is_success()
        && response.headers.contains_key(DPOP_NONCE)
        && error_code(response).is_some_and(|error| error.code == OAuthErrorCode::UseDPoPNonce)
}

/// Whether the server refuses the request, and does not only fail at present.
fn is_refusal(status: StatusCode, code: Option<&ErrorCode>) -> bool {
    match status {
        _ if code.is_some_and(ErrorCode::says_try_later) => false,
        // RFC 6749 §5.2 names 400 and 401, and some servers send 403.
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => false,
        // Some servers respond to each request with 200, and the body decides.
        _ if status.is_success() => code.is_some(),
        // A gateway in front of the server may cause any other status, such as 404, 405 or 413.
        _ => status.is_client_error() && code.is_some_and(ErrorCode::is_registered),
    }
}

/// What a person can do about the errors of a platform, for the texts of errors.
#[derive(Debug)]
pub(crate) struct Advice {
    /// If there is no response. It is empty if that has no reason of its own.
    pub(crate) unreachable: &'static str,
    /// If the platform refuses: a code or a status, and what to do. The first that fits counts.
    pub(crate) refused: &'static [(&'static str, &'static str)],
}

impl Advice {
    pub(crate) fn for_refusal(
        &self,
        code: Option<&ErrorCode>,
        status: StatusCode,
    ) -> Option<&'static str> {
        let code = code.map(ToString::to_string).unwrap_or_default();
        let words: Vec<_> = code.split([' ', '`']).collect();
        let fits = |name: &str| words.contains(&name) || name == status.as_str();
        let found = self.refused.iter().find(|(name, _)| fits(name));
        found.map(|(_, advice)| *advice)
    }
}
