//! What a server asks for beyond the token that it got: more scopes, other claims, or another authentication of the user.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use url::Url;

use crate::error::printable::printable;
use crate::exchange::challenge::{Challenge, Challenges};
use crate::origin::origin::web_page;

/// What a server asks for in addition to a valid token.
///
/// A request fails with `insufficient_scope` ([RFC 6750 §3.1]) if the token lacks a right, and with
/// `insufficient_user_authentication` ([RFC 9470 §3]) if the user has to sign in again or in a stronger way. Microsoft Entra has
/// `insufficient_claims` for that, with the `claims` of the next sign-in. keyfob neither renews the token nor sends the request again then, because a renewed token would be refused too. The response says what
/// the next sign-in has to ask for. Every interface returns that response, and this type reads it.
///
/// ```
/// use std::time::Duration;
/// use keyfob::exchange::{StepUp, StepUpReason};
/// use keyfob::http::{Response, StatusCode};
///
/// let challenge = r#"Bearer error="insufficient_user_authentication", acr_values="phr phrh", max_age="300""#;
/// let response = Response::builder()
///     .status(StatusCode::UNAUTHORIZED)
///     .header("www-authenticate", challenge)
///     .body(())?;
///
/// let step_up = StepUp::from_response(response.status(), response.headers()).expect("it asks for more");
/// assert_eq!(step_up.reason, StepUpReason::InsufficientUserAuthentication);
/// assert_eq!(step_up.acr_values, ["phr", "phrh"]);
/// assert_eq!(step_up.max_age, Some(Duration::from_secs(300)));
/// # Ok::<(), keyfob::http::Error>(())
/// ```
///
/// What the server wrote is not trusted: values are bounded in number and length, and none contains a control character. A
/// value that is no scope, no number or no URL is left out. Several challenges are read as one: all that they ask for, and
/// the shortest `max_age`.
///
/// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1
/// [RFC 9470 §3]: https://www.rfc-editor.org/rfc/rfc9470.html#section-3
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepUp {
    /// Why the server refuses the token.
    pub reason: StepUpReason,
    /// The scopes that the request needs ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3)).
    ///
    /// Empty if the server does not name them. They consist of visible ASCII characters.
    pub scopes: Vec<String>,
    /// The authentication context classes that the server accepts, best first (RFC 9470 §3).
    pub acr_values: Vec<String>,
    /// How long ago the user may have signed in at most (RFC 9470 §3).
    pub max_age: Option<Duration>,
    /// The claims that the token has to have: JSON in Base64, as Microsoft Entra sends it, for the `claims` of an
    /// authorization request.
    pub claims: Option<String>,
    /// The name of the protected part of the server, as text that is safe to show.
    pub realm: Option<String>,
    /// Where the metadata of the protected resource are ([RFC 9728 §5.1]): https, or plain http to this machine.
    ///
    /// [RFC 9728 §5.1]: https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1
    pub resource_metadata: Option<Url>,
}

/// Why a valid token is not sufficient.
///
/// [`StepUp`](crate::exchange::StepUp) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepUpReason {
    /// The token lacks a scope (`insufficient_scope`, RFC 6750 §3.1).
    InsufficientScope,
    /// The user has to sign in again, or in a stronger way (`insufficient_user_authentication`, RFC 9470 §3).
    InsufficientUserAuthentication,
    /// The token lacks claims, and a sign-in that asks for them gets it (`insufficient_claims`, Microsoft Entra).
    InsufficientClaims,
}

impl StepUpReason {
    /// The error code in the challenge.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::InsufficientClaims => "insufficient_claims",
        }
    }
}

impl StepUp {
    /// Reads what a response asks for; `None` if it asks for nothing more, or is a success.
    ///
    /// Only challenges of the schemes `Bearer` and `DPoP` count, as for renewals.
    #[must_use]
    pub fn from_response(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        if status.is_success() {
            return None;
        }
        let challenges = Challenges::from_headers(headers);
        let mut asking = challenges
            .iter()
            .filter_map(|challenge| Some((reason(challenge)?, challenge)));
        let (reason, first) = asking.next()?;
        let mut step_up = Self {
            reason,
            scopes: Vec::new(),
            acr_values: Vec::new(),
            max_age: None,
            claims: None,
            realm: None,
            resource_metadata: None,
        };
        step_up.add(reason, first);
        asking.for_each(|(reason, challenge)| step_up.add(reason, challenge));
        Some(step_up)
    }

    fn add(&mut self, reason: StepUpReason, challenge: &Challenge) {
        if self.reason == StepUpReason::InsufficientScope {
            // A new sign-in asks for the scopes too, so it covers both.
            self.reason = reason;
        }
        add_words(&mut self.scopes, challenge.scope());
        add_words(&mut self.acr_values, challenge.acr_values());
        self.max_age = match (self.max_age, challenge.max_age()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let claims = || challenge.claims().filter(|claims| is_base64(claims));
        self.claims = self.claims.take().or_else(|| claims().map(str::to_owned));
        let realm = || challenge.realm().map(shown).filter(|text| !text.is_empty());
        self.realm = self.realm.take().or_else(realm);
        let metadata = || challenge.parameter("resource_metadata").and_then(web_page);
        self.resource_metadata = self.resource_metadata.take().or_else(metadata);
    }

    /// How many scopes, and how many authentication context classes, are kept.
    pub const MAX_VALUES: usize = 64;
}

/// What the server asks for, in words that are safe to show.
impl fmt::Display for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let classes = self.acr_values.join(" or ");
        parts.extend(match (self.reason, &*classes, self.max_age) {
            (StepUpReason::InsufficientScope, "", None) => None,
            (StepUpReason::InsufficientClaims, "", None) => Some("a new sign-in".to_owned()),
            (_, "", None) => Some("a new or stronger sign-in".to_owned()),
            (_, "", Some(age)) => Some(format!("a sign-in in the last {} s", age.as_secs())),
            (_, _, None) => Some(format!("a sign-in of the class {classes}")),
            (_, _, Some(age)) => Some(format!(
                "a sign-in of the class {classes} in the last {} s",
                age.as_secs()
            )),
        });
        let scopes = self.scopes.join(" ");
        parts.extend(match &*self.scopes {
            [] if parts.is_empty() => Some("more scopes, and does not name them".to_owned()),
            [] => None,
            [_] => Some(format!("the scope {scopes}")),
            [..] => Some(format!("the scopes {scopes}")),
        });
        parts.extend(match (&self.claims, self.reason) {
            (Some(claims), _) => Some(format!("the claims {claims}")),
            (None, StepUpReason::InsufficientClaims) => {
                Some("further claims, and does not name them".to_owned())
            }
            (None, _) => None,
        });
        // The values are safe to show. They may be long.
        f.write_str(&printable(format_args!(
            "the server asks for {}",
            parts.join(" with ")
        )))
    }
}

fn reason(challenge: &Challenge) -> Option<StepUpReason> {
    let reasons = [
        StepUpReason::InsufficientScope,
        StepUpReason::InsufficientUserAuthentication,
        StepUpReason::InsufficientClaims,
    ];
    let error = challenge.error().filter(|_| challenge.is_for_tokens())?;
    reasons.into_iter().find(|reason| reason.code() == error)
}

/// Adds the words of a list that is separated by spaces, each once.
fn add_words(known: &mut Vec<String>, list: Option<&str>) {
    for word in list.unwrap_or_default().split(' ') {
        let is_usable = (1..=MAX_WORD_BYTES).contains(&word.len()) && word.bytes().all(is_in_scope);
        if is_usable && known.len() < StepUp::MAX_VALUES && !known.iter().any(|other| other == word)
        {
            known.push(word.to_owned());
        }
    }
}

/// RFC 6749 §3.3: visible ASCII without the quote and the backslash.
fn is_in_scope(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

/// Base64 of either alphabet, and not too long.
fn is_base64(text: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    (1..=MAX_CLAIMS_BYTES).contains(&text.len()) && text.bytes().all(is_of_it)
}

fn shown(text: &str) -> String {
    printable(text).chars().take(MAX_REALM_CHARS).collect()
}

/// Longer scopes and classes are left out. Those in use are shorter than 100 bytes.
const MAX_WORD_BYTES: usize = 256;

/// Longer claims are left out. Those in use have a few hundred bytes.
const MAX_CLAIMS_BYTES: usize = 4096;

const MAX_REALM_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    fn read(fields: &[&str]) -> Option<StepUp> {
        let headers = fields.iter().map(|field| {
            let value = HeaderValue::from_bytes(field.as_bytes()).unwrap();
            (WWW_AUTHENTICATE, value)
        });
        StepUp::from_response(StatusCode::FORBIDDEN, &headers.collect())
    }

    fn shown(field: &str) -> String {
        read(&[field]).unwrap().to_string()
    }

    #[test]
    fn a_refusal_for_another_reason_and_a_success_ask_for_nothing() {
        for field in [
            "Bearer",
            "Bearer error=invalid_token, scope=a",
            "Basic error=insufficient_scope",
            "Bearer error_description=\"insufficient_scope\"",
            "Bearer error=\"insufficient_scope",
        ] {
            assert_eq!(read(&[field]), None, "{field}");
        }
        let field = HeaderValue::from_static("Bearer error=insufficient_scope");
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, field)]);
        assert_eq!(StepUp::from_response(StatusCode::OK, &headers), None);
    }

    #[test]
    fn all_parameters_of_a_challenge_are_read() {
        let field = "DPoP realm=\"a \\\"b\\\"\", error=insufficient_scope, scope=\"read  write read\", \
                     resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"";
        let step_up = read(&[field]).unwrap();
        assert_eq!(step_up.reason, StepUpReason::InsufficientScope);
        assert_eq!(step_up.scopes, ["read", "write"]);
        assert_eq!(step_up.realm.as_deref(), Some("a \"b\""));
        let url = step_up.resource_metadata.unwrap();
        assert_eq!(url.path(), "/.well-known/oauth-protected-resource");
    }

    #[test]
    fn of_a_parameter_that_is_sent_twice_the_first_counts() {
        let field = "Bearer error=insufficient_scope, error=invalid_token, scope=a, SCOPE=b, max_age=x, max_age=5";
        let step_up = read(&[field]).unwrap();
        assert_eq!(step_up.scopes, ["a"]);
        assert_eq!(step_up.max_age, None);
        let field = "Bearer error=invalid_token, error=insufficient_scope";
        assert_eq!(read(&[field]), None);
    }

    #[test]
    fn several_challenges_are_read_as_one() {
        let first = "Negotiate, Bearer error=insufficient_scope, scope=\"a b\", Basic realm=\"x\"";
        let second =
            "DPoP error=insufficient_user_authentication, scope=\"b c\", max_age=60, acr_values=hi";
        let third = "Bearer error=insufficient_user_authentication, max_age=\"30\"";
        let step_up = read(&[first, second, third]).unwrap();
        assert_eq!(step_up.reason, StepUpReason::InsufficientUserAuthentication);
        assert_eq!(step_up.scopes, ["a", "b", "c"]);
        assert_eq!(step_up.acr_values, ["hi"]);
        assert_eq!(step_up.max_age, Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_claims_challenge_of_entra_is_read() {
        let field = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
                     error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"";
        let step_up = read(&[field]).unwrap();
        assert_eq!(step_up.reason, StepUpReason::InsufficientClaims);
        assert_eq!(
            step_up.claims.as_deref(),
            Some("eyJhY2Nlc3NfdG9rZW4iOnt9fQ==")
        );
        for hostile in ["$(reboot)", "a b", &"x".repeat(MAX_CLAIMS_BYTES + 1)] {
            let field = format!("Bearer error=insufficient_claims, claims=\"{hostile}\"");
            assert_eq!(read(&[&field]).unwrap().claims, None);
        }
    }

    #[test]
    fn s1_what_a_hostile_server_writes_is_bounded_and_safe_to_show() {
        let long = "x".repeat(300);
        let many: String = (0..200).map(|number| format!("s{number} ")).collect();
        let field = format!(
            "Bearer error=insufficient_scope, max_age=99999999999999999999, scope=\"\u{202e} \\\" \\\\ {long} {many}\", \
             realm=\"\u{9b}2J\u{202e}{long}\", resource_metadata=\"file:///etc/passwd\""
        );
        let step_up = read(&[&field]).unwrap();
        assert_eq!(step_up.scopes.len(), StepUp::MAX_VALUES);
        assert_eq!(step_up.scopes[0], "s0");
        assert_eq!(step_up.max_age, None);
        assert_eq!(step_up.resource_metadata, None);
        let realm = step_up.realm.as_deref().unwrap();
        assert_eq!(realm, "x".repeat(MAX_REALM_CHARS));
        for url in [
            "https://user@api.example/",
            "http://api.example/",
            "javascript:alert(1)",
            "/relative",
        ] {
            let field = format!("Bearer error=insufficient_scope, resource_metadata=\"{url}\"");
            assert_eq!(read(&[&field]).unwrap().resource_metadata, None, "{url}");
        }
    }

    #[test]
    fn the_words_name_all_that_is_asked_for() {
        for (parameters, words) in [
            ("insufficient_scope", "more scopes, and does not name them"),
            ("insufficient_scope, scope=a", "the scope a"),
            ("insufficient_scope, scope=\"a b\"", "the scopes a b"),
            (
                "insufficient_user_authentication",
                "a new or stronger sign-in",
            ),
            (
                "insufficient_user_authentication, max_age=5",
                "a sign-in in the last 5 s",
            ),
            (
                "insufficient_user_authentication, acr_values=\"x y\"",
                "a sign-in of the class x or y",
            ),
            (
                "insufficient_user_authentication, acr_values=x, max_age=5, scope=a",
                "a sign-in of the class x in the last 5 s with the scope a",
            ),
            (
                "insufficient_claims, claims=\"eyJh\"",
                "a new sign-in with the claims eyJh",
            ),
            (
                "insufficient_claims",
                "a new sign-in with further claims, and does not name them",
            ),
        ] {
            let text = shown(&format!("Bearer error={parameters}"));
            assert_eq!(text, format!("the server asks for {words}"));
        }
    }
}
