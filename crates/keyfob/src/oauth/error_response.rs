//! What an authorization server's error response means: whether it is permanent, and when to ask again.

use std::fmt;

use http::StatusCode;
use huskarl_core::OAuthErrorCode;

use crate::error::error::Error;
use crate::exchange::proof::DPOP_NONCE;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::http_client::ServerResponse;
use crate::oauth::response_body::Body;
use crate::token::json::{Json, Object};

/// The error code of a response (`error`, RFC 6749 §5.2).
pub(crate) struct ErrorCode {
    pub(crate) code: OAuthErrorCode,
    /// The code as text, if it can be shown.
    text: Option<String>,
    /// The number that Microsoft Entra adds, which says more than the code.
    number: Option<i128>,
    /// Whether another part of the response says that the same request may succeed later.
    may_pass: bool,
}

impl ErrorCode {
    /// Reads the code from the members of a response.
    pub(crate) fn read(object: &Object, response: &ServerResponse) -> Option<Self> {
        let mut may_pass = object
            .text("error_description")
            .is_some_and(|text| text.contains(ALREADY_PROCESSING));
        let text = match object.get("error").or_else(|| object.get("ErrorCode"))? {
            Json::Text(text) => text.as_str(),
            // Some APIs have one form of error for all of their endpoints.
            Json::Object(inner) => {
                may_pass |= matches!(inner.get("is_transient"), Some(Json::Bool(true)));
                let names = ["code", "status", "type"];
                let found = names.iter().find_map(|name| inner.text(name));
                found.unwrap_or("unknown")
            }
            Json::Bool(true) => "unknown",
            _ => return None,
        };
        if text.is_empty() {
            return None;
        }
        let mut code = Self::new(text, |text| response.may_repeat(text));
        if let Some(Json::List(numbers)) = object.get("error_codes")
            && let Some(Json::Integer(number)) = numbers.first()
        {
            // The token service of Azure Arc has a list of the same name, with the status in it.
            code.number = Some(*number).filter(|number| *number >= SMALLEST_ENTRA_NUMBER);
            may_pass |= TRY_LATER_NUMBERS.contains(number);
        }
        code.may_pass = may_pass;
        Some(code)
    }

    /// A code that the server wrote. It is shown unless it may repeat a part of the request (S3).
    pub(crate) fn new(text: &str, is_echo: impl FnOnce(&str) -> bool) -> Self {
        let code = OAuthErrorCode::from(text);
        let is_registered = !matches!(code, OAuthErrorCode::Other(_));
        let is_shown = is_registered || (is_plain(text) && !is_echo(text));
        Self {
            code,
            text: is_shown.then(|| text.to_owned()),
            number: None,
            may_pass: false,
        }
    }

    pub(crate) fn is_registered(&self) -> bool {
        !matches!(self.code, OAuthErrorCode::Other(_))
    }

    /// Whether the same request would fail for ever. Of other codes, it is not known what they mean.
    fn is_definite(&self) -> bool {
        match &self.code {
            _ if self.says_try_later() => false,
            // Also a limit, or a policy about times and places.
            OAuthErrorCode::AccessDenied => false,
            OAuthErrorCode::Other(code) => DEFINITE.contains(&code.as_str()),
            _ => true,
        }
    }

    /// Whether the refresh token, the assertion, the code or the client is refused.
    fn is_about_credential(&self) -> bool {
        self.code == OAuthErrorCode::InvalidGrant || self.is_about_client()
    }

    fn is_about_client(&self) -> bool {
        matches!(
            self.code,
            OAuthErrorCode::InvalidClient | OAuthErrorCode::UnauthorizedClient
        ) || self.code.as_str() == "incorrect_client_credentials"
    }

    /// Whether the same request may succeed later.
    fn says_try_later(&self) -> bool {
        let is_code = matches!(
            self.code,
            OAuthErrorCode::TemporarilyUnavailable
                | OAuthErrorCode::ServerError
                | OAuthErrorCode::SlowDown
                | OAuthErrorCode::AuthorizationPending
                | OAuthErrorCode::UseDPoPNonce
        );
        let letters = || {
            let code = self.code.as_str().chars();
            let letters = code.filter(char::is_ascii_alphabetic);
            letters.collect::<String>().to_ascii_lowercase()
        };
        is_code || self.may_pass || TRY_LATER.contains(&letters().as_str())
    }
}

/// Whether a text looks like a code, such as `bad_verification_code` or `OAuthException`: words, and no random text.
fn is_plain(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.strip_suffix(|last: char| last.is_ascii_digit());
        let letters = letters.unwrap_or(word);
        !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let mut words = text.split(['_', '-', '.', ':']);
    let has_lower_case_or_parts = text.bytes().any(|byte| !byte.is_ascii_uppercase());
    text.len() <= MAX_CODE_LENGTH && has_lower_case_or_parts && words.all(is_word)
}

/// The code for an error message.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "`{text}`")?,
            None => f.write_str("an error code that cannot be shown")?,
        }
        match self.number {
            Some(number) => write!(f, " AADSTS{number}"),
            None => Ok(()),
        }
    }
}

/// The error code in a response, if there is one.
pub(crate) fn error_code(response: &ServerResponse) -> Option<ErrorCode> {
    match response.read() {
        Body::Members(object) => ErrorCode::read(&object, response),
        Body::Cut | Body::Unreadable => None,
    }
}

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
    let message = match (code, is_of_a_gateway(response.status, code)) {
        (None, true) => format!(
            "a gateway before {endpoint} got no valid response from it ({status}); it may have processed the request"
        ),
        (None, false) => format!("{endpoint} refused without an error code ({status}){advice}"),
        (Some(code), true) => format!(
            "a gateway before {endpoint} responded with {code} ({status}); it may have processed the request"
        ),
        (Some(code), false) => format!("{endpoint} refused with {code} ({status}){advice}"),
    };
    // Glewlwyd refuses with a status alone, also a refresh token that was used before.
    let is_definite = code.is_none_or(ErrorCode::is_definite);
    let pauses = response.add_pause(Error::unavailable(message.clone()));
    let says_when = pauses.pause().is_some() && !code.is_some_and(ErrorCode::is_about_credential);
    let mut error = match is_refusal(response.status, code) && !says_when {
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
    let is_text = matches!(status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
        && matches!(response.read(), Body::Unreadable)
        && !response.text().trim().is_empty();
    is_text.then(|| {
        response.add_pause(Error::unavailable(format!(
            "{endpoint}, or a proxy or a gateway before it, refused the request ({}) with a text that is none of OAuth; \
             ask where it is run to allow this server, and check the URL",
            status.as_u16()
        )))
    })
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

/// Codes that are not registered and say that the server cannot respond at present, as their letters.
const TRY_LATER: [&str; 18] = [
    "deadlineexceeded",
    "gatewaytimeout",
    "internal",
    "internalerror",
    "internalfailure",
    "internalservererror",
    "ratelimited",
    "ratelimit",
    "ratelimitexceeded",
    "requesttimeout",
    "resourceexhausted",
    "serviceunavailable",
    "throttled",
    "throttling",
    "timeout",
    "toomanyrequests",
    "unavailable",
    "unknownerror",
];

/// The numbers of Microsoft Entra have five digits or more.
const SMALLEST_ENTRA_NUMBER: i128 = 10_000;

/// The same as numbers of Microsoft Entra: directory or service unavailable, timeout, budget of the request, throttled tenant.
const TRY_LATER_NUMBERS: [i128; 5] = [90_006, 90_012, 90_024, 90_033, 90_055];

/// What Salesforce adds to `invalid_grant` if it still processes the same request.
const ALREADY_PROCESSING: &str = "already being processed";

/// Codes that are not registered and mean that the same request will fail for ever.
const DEFINITE: [&str; 8] = [
    "admin_policy_enforced",
    "bad_refresh_token",
    "bad_verification_code",
    "inactive_user",
    "incorrect_client_credentials",
    "invalid_code",
    "invalid_refresh_token",
    "invalid_token",
];

/// Longer than any code in use.
const MAX_CODE_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_only_words_are_shown_as_codes() {
        let shown = |text: &str| ErrorCode::new(text, |_| false).to_string();
        for code in [
            "invalid_grant",
            "bad_verification_code",
            "OAuthException",
            "INVALID_ARGUMENT",
            "oauth.v2.Expired",
            "unauthorized",
        ] {
            assert_eq!(shown(code), format!("`{code}`"));
        }
        for text in [
            "s3cr3t",
            "SECRET",
            "two words",
            "x\u{1b}[2J",
            "",
            "_",
            "9f86d081884c7d65",
            "a".repeat(65).as_str(),
        ] {
            assert!(!shown(text).contains('`'), "{text}");
        }
        assert!(
            !ErrorCode::new("hush", |_| true)
                .to_string()
                .contains("hush")
        );
        assert!(
            ErrorCode::new("invalid_grant", |_| true)
                .to_string()
                .contains("invalid_grant")
        );
    }
}
