//! The error code of an authorization server's response (RFC 6749 §5.2), and what it says.

use std::fmt;

use http::StatusCode;
use huskarl_core::OAuthErrorCode;

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
    /// Reads the code from the members of a response. In other members than `error`, only a registered code is one.
    pub(crate) fn read(object: &Object, response: &ServerResponse) -> Option<Self> {
        let own = Self::read_error(object, response);
        let says_no_more_than_status = |code: &Self| is_reason_phrase(code.code.as_str());
        if response.status.is_success() || !own.as_ref().is_none_or(says_no_more_than_status) {
            return own;
        }
        let mut others = other_members(object).map(|text| Self::new(text, |_| false));
        others.find(Self::is_registered).or_else(|| {
            let own = own?;
            let text = other_word(object, response).or(own.text);
            Some(Self { text, ..own })
        })
    }

    fn read_error(object: &Object, response: &ServerResponse) -> Option<Self> {
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
        if code.code == OAuthErrorCode::UnauthorizedClient && is_about_refresh_token(object) {
            // What is shown stays the code of the server.
            code.code = OAuthErrorCode::InvalidGrant;
        }
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
    pub(crate) fn is_definite(&self) -> bool {
        match &self.code {
            _ if self.says_try_later() => false,
            // Also a limit, or a policy about times and places.
            OAuthErrorCode::AccessDenied => false,
            OAuthErrorCode::Other(code) => DEFINITE.contains(&code.as_str()),
            _ => true,
        }
    }

    /// Whether the refresh token, the assertion, the code or the client is refused.
    pub(crate) fn is_about_credential(&self) -> bool {
        self.code == OAuthErrorCode::InvalidGrant || self.is_about_client()
    }

    pub(crate) fn is_about_client(&self) -> bool {
        matches!(
            self.code,
            OAuthErrorCode::InvalidClient | OAuthErrorCode::UnauthorizedClient
        ) || self.code.as_str() == "incorrect_client_credentials"
    }

    /// Whether the same request may succeed later.
    pub(crate) fn says_try_later(&self) -> bool {
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

/// Whether Atlassian, for example, means the refresh token where its code names the client.
fn is_about_refresh_token(object: &Object) -> bool {
    let text = object.text("error_description").unwrap_or_default();
    let text = text.to_ascii_lowercase().replace('_', " ");
    let has = |words: &str| text.contains(words);
    let is_refused = ["invalid", "expired", "revoked"].into_iter().any(has);
    // A grant type that the client may not use is another matter.
    has("refresh token") && is_refused && !has("grant")
}

/// What servers send in place of `error`: Okta, Box, Twitch, Amazon Cognito, and in a list Fitbit and others.
fn other_members(object: &Object) -> impl Iterator<Item = &str> {
    let first = match object.get("errors") {
        Some(Json::List(errors)) => errors.first(),
        _ => None,
    };
    let in_list = ["errorType", "code", "error"];
    let in_list = in_list.into_iter().filter_map(move |name| match first {
        Some(Json::Object(error)) => error.text(name),
        _ => None,
    });
    let names = ["errorCode", "code", "message", "__type"];
    let texts = names.into_iter().filter_map(|name| object.text(name));
    texts.chain(in_list)
}

/// The first of these that can be shown and says more than the status.
fn other_word(object: &Object, response: &ServerResponse) -> Option<String> {
    let says =
        |text: &&str| is_plain(text) && !is_reason_phrase(text) && !response.may_repeat(text);
    other_members(object).find(says).map(str::to_owned)
}

/// A word for a person, of a response without an error code.
pub(crate) fn word_without_code(response: &ServerResponse) -> Option<String> {
    match response.read() {
        Body::Members(object) => other_word(&object, response),
        Body::Cut | Body::Unreadable => None,
    }
}

/// Whether a text is only the name of a status, such as `Bad Request`.
fn is_reason_phrase(text: &str) -> bool {
    let statuses = (400..600).filter_map(|number| StatusCode::from_u16(number).ok());
    statuses
        .filter_map(|status| status.canonical_reason())
        .any(|phrase| phrase == text)
}

/// Whether a text looks like a code, such as `bad_verification_code`, `OAuthException` or `Access Denied`: words, and no random
/// text.
fn is_plain(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.strip_suffix(|last: char| last.is_ascii_digit());
        let letters = letters.unwrap_or(word);
        !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let mut words = text.split(['_', '-', '.', ':', ' ']);
    // Keys are written in groups of capital letters too.
    let has_lower_case_or_parts = text
        .bytes()
        .any(|byte| !byte.is_ascii_uppercase() && byte != b' ');
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
            "Access Denied",
            "Internal Server Error",
        ] {
            assert_eq!(shown(code), format!("`{code}`"));
        }
        for text in [
            "s3cr3t",
            "SECRET",
            "two  spaces",
            " space",
            "space ",
            "GROUPED CAPITALS",
            "s3cr3t word",
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

    #[test]
    fn a_refused_refresh_token_is_not_about_the_client() {
        let read = |description: &str| {
            let body =
                format!(r#"{{"error":"unauthorized_client","error_description":"{description}"}}"#);
            let response = ServerResponse::made_up(StatusCode::FORBIDDEN, body.into_bytes());
            error_code(&response).unwrap()
        };
        let code = read("refresh_token is invalid");
        assert!(!code.is_about_client() && code.is_about_credential());
        assert_eq!(code.to_string(), "`unauthorized_client`");
        assert!(read("refresh_token is an invalid grant type").is_about_client());
        assert!(read("").is_about_client());
    }
}
