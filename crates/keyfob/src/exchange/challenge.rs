//! Challenges: what a server asks for when it refuses a request.
//!
//! A 401 lists in `WWW-Authenticate` the schemes that the server accepts, each with a `token68` or with parameters
//! ([RFC 9110 §11.6.1]). This module reads that field: it shows why a token was refused, or how to authenticate. It
//! never fails, because a 401 with an unreadable challenge is still a refusal. It does not read `Authentication-Info` or
//! `Proxy-Authenticate`.
//!
//! [RFC 9110 §11.6.1]: https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1

use std::time::Duration;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

mod grammar;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::exchange::challenge::grammar::{Cursor, Fault, Piece};

/// The challenges of one response, in the order of its fields.
///
/// At most [`Challenges::MAX_CHALLENGES`] are kept, each with at most [`Challenges::MAX_PARAMETERS`] parameters. The time to
/// read them is proportional to the length of the fields.
///
/// ```
/// use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
/// use keyfob::exchange::Challenges;
///
/// let mut headers = HeaderMap::new();
/// headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate, Basic realm=\"files, old\""));
/// headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
///
/// let challenges = Challenges::from_headers(&headers);
/// assert_eq!(challenges.iter().count(), 3);
/// assert_eq!(challenges.find("basic").and_then(|basic| basic.realm()), Some("files, old"));
/// assert!(!challenges.insufficient_scope());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenges(Vec<Challenge>);

impl Challenges {
    /// Reads all `WWW-Authenticate` fields of a response.
    ///
    /// Several fields mean the same as one field that joins them with commas ([RFC 9110 §5.3]). A malformed field
    /// yields what could be read before the fault, and the rest of that field is dropped; the other fields are
    /// still read. A quoted value that is not UTF-8 is read as ISO-8859-1 ([RFC 9110 §5.5]).
    ///
    /// [RFC 9110 §5.3]: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.3
    /// [RFC 9110 §5.5]: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.5
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut reading = Reading::default();
        for field in headers.get_all(WWW_AUTHENTICATE) {
            reading.field(field.as_bytes());
        }
        Self(reading.challenges)
    }

    /// Reads the value of one `WWW-Authenticate` field.
    ///
    /// A malformed value yields what could be read before the fault.
    pub fn parse(field: &str) -> Self {
        let mut reading = Reading::default();
        reading.field(field.as_bytes());
        Self(reading.challenges)
    }

    /// Iterates over the challenges in the order of the response.
    pub fn iter(&self) -> impl Iterator<Item = &Challenge> {
        self.0.iter()
    }

    /// Whether no challenge could be read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first challenge of this scheme; case does not matter.
    pub fn find(&self, scheme: &str) -> Option<&Challenge> {
        self.iter().find(|challenge| challenge.is(scheme))
    }

    /// Whether the token is valid but not sufficient for the request.
    ///
    /// That is the error code `insufficient_scope` ([RFC 6750 §3.1]) of a Bearer or a DPoP challenge
    /// ([RFC 9449 §7.1]). A new token with the same scope would be refused again.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1
    /// [RFC 9449 §7.1]: https://www.rfc-editor.org/rfc/rfc9449.html#section-7.1
    pub fn insufficient_scope(&self) -> bool {
        self.token_error("insufficient_scope")
    }

    /// Whether the user has to sign in again, or in a stronger way ([RFC 9470 §3]).
    ///
    /// A renewed token would be refused again. [`StepUp`](crate::exchange::StepUp) says what the next sign-in has to ask for.
    ///
    /// ```
    /// use std::time::Duration;
    /// use keyfob::exchange::Challenges;
    ///
    /// let challenges = Challenges::parse(
    ///     r#"Bearer error="insufficient_user_authentication", acr_values="phr", max_age="300""#,
    /// );
    /// assert!(challenges.insufficient_user_authentication());
    /// let bearer = challenges.find("Bearer").expect("the server sent one");
    /// assert_eq!(bearer.acr_values(), Some("phr"));
    /// assert_eq!(bearer.max_age(), Some(Duration::from_secs(300)));
    /// ```
    ///
    /// [RFC 9470 §3]: https://www.rfc-editor.org/rfc/rfc9470.html#section-3
    pub fn insufficient_user_authentication(&self) -> bool {
        self.token_error("insufficient_user_authentication")
    }

    /// Whether the token lacks claims that the server requires: the claims challenge of [Microsoft Entra].
    ///
    /// A renewed token would be refused again. [`Challenge::claims`] returns what the next sign-in has to ask for.
    ///
    /// [Microsoft Entra]: https://learn.microsoft.com/entra/identity-platform/claims-challenge
    pub fn insufficient_claims(&self) -> bool {
        self.token_error("insufficient_claims")
    }

    /// Whether the token has expired, was revoked or is not valid for another reason ([RFC 6750 §3.1]).
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1
    pub fn invalid_token(&self) -> bool {
        self.token_error("invalid_token")
    }

    /// Whether a token with other rights is needed, which no renewal brings.
    pub(crate) fn ask_for_more(&self) -> bool {
        self.insufficient_scope()
            || self.insufficient_user_authentication()
            || self.insufficient_claims()
    }

    fn token_error(&self, code: &str) -> bool {
        self.iter()
            .filter(|challenge| challenge.is_for_tokens())
            .any(|challenge| challenge.error() == Some(code))
    }

    /// Whether the proof of possession must have the nonce that the response provides ([RFC 9449 §9]).
    ///
    /// [RFC 9449 §9]: https://www.rfc-editor.org/rfc/rfc9449.html#section-9
    pub fn use_dpop_nonce(&self) -> bool {
        self.dpop_error("use_dpop_nonce")
    }

    /// Whether the proof of possession was refused, and not the token ([RFC 9449 §12.2]).
    ///
    /// [RFC 9449 §12.2]: https://www.rfc-editor.org/rfc/rfc9449.html#section-12.2
    pub fn invalid_dpop_proof(&self) -> bool {
        self.dpop_error("invalid_dpop_proof")
    }

    fn dpop_error(&self, code: &str) -> bool {
        self.iter()
            .filter(|challenge| challenge.is("DPoP"))
            .any(|challenge| challenge.error() == Some(code))
    }

    /// How many challenges are kept; those that follow are dropped.
    pub const MAX_CHALLENGES: usize = 64;

    /// How many parameters of a challenge are kept; those that follow are skipped.
    pub const MAX_PARAMETERS: usize = 64;
}

/// One challenge: a scheme, with a `token68` or with parameters.
///
/// Names of schemes and parameters are compared without regard to case ([RFC 9110 §11.1]); values are kept as the
/// server meant them, without quotes and backslashes. Two challenges are equal if they are spelled alike.
///
/// ```
/// use keyfob::exchange::Challenges;
///
/// let challenges = Challenges::parse(r#"Bearer realm="api", scope="read write", Negotiate YII="#);
///
/// let bearer = challenges.find("bearer").expect("a Bearer challenge was sent");
/// assert_eq!(bearer.scope(), Some("read write"));
/// assert_eq!(bearer.parameter("REALM"), Some("api"));
/// assert_eq!(challenges.find("Negotiate").and_then(|other| other.token68()), Some("YII="));
/// ```
///
/// [RFC 9110 §11.1]: https://www.rfc-editor.org/rfc/rfc9110.html#section-11.1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    details: Details,
}

impl Challenge {
    /// Returns the scheme as the server spelled it.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether the challenge has this scheme; case does not matter.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Whether the scheme is one for OAuth 2.0 tokens, whose error codes say why a token was refused.
    pub(crate) fn is_for_tokens(&self) -> bool {
        self.is("Bearer") || self.is("DPoP")
    }

    /// Returns the `token68` that some schemes use instead of parameters.
    ///
    /// See [RFC 9110 §11.2](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2).
    pub fn token68(&self) -> Option<&str> {
        match &self.details {
            Details::Token68(value) => Some(value),
            Details::Parameters(_) => None,
        }
    }

    /// Returns the value of the first parameter of this name; case does not matter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Iterates over the names and values of the parameters in their order.
    ///
    /// A name that was sent twice appears twice, although [RFC 9110 §11.2] forbids it.
    ///
    /// [RFC 9110 §11.2]: https://www.rfc-editor.org/rfc/rfc9110.html#section-11.2
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = match &self.details {
            Details::Token68(_) => &[],
            Details::Parameters(parameters) => parameters.as_slice(),
        };
        parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the protection space that the server names.
    ///
    /// See [RFC 9110 §11.5](https://www.rfc-editor.org/rfc/rfc9110.html#section-11.5).
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// Returns the scopes that the request needs, separated by spaces.
    ///
    /// See [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3).
    pub fn scope(&self) -> Option<&str> {
        self.parameter("scope")
    }

    /// Returns the authentication context classes that the server accepts, separated by spaces, best first.
    ///
    /// See [RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470.html#section-3).
    pub fn acr_values(&self) -> Option<&str> {
        self.parameter("acr_values")
    }

    /// Returns how long ago the user may have signed in at most.
    ///
    /// See [RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470.html#section-3).
    pub fn max_age(&self) -> Option<Duration> {
        let seconds = self.parameter("max_age")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Returns the claims that the server requires in the token, as Microsoft Entra encodes them: JSON in Base64.
    pub fn claims(&self) -> Option<&str> {
        self.parameter("claims")
    }

    /// Returns the code that says why the token was refused.
    ///
    /// See [RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1).
    pub fn error(&self) -> Option<&str> {
        self.parameter("error")
    }

    /// Returns the server's text for developers about the refusal.
    ///
    /// See [RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750.html#section-3).
    pub fn error_description(&self) -> Option<&str> {
        self.parameter("error_description")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Details {
    Token68(String),
    /// Empty for a bare scheme.
    Parameters(Vec<(String, String)>),
}

/// The challenges read so far, over all fields.
#[derive(Default)]
struct Reading {
    challenges: Vec<Challenge>,
    /// Whether a parameter that follows belongs to the last challenge.
    open: bool,
}

impl Reading {
    fn field(&mut self, field: &[u8]) {
        if self.pieces(field).is_err() {
            // The next field does not continue this one.
            self.open = false;
        }
    }

    fn pieces(&mut self, field: &[u8]) -> Result<(), Fault> {
        let mut cursor = Cursor::new(field);
        while let Some(piece) = cursor.piece()? {
            match piece {
                Piece::Scheme(scheme, token68) => self.begin(scheme, token68)?,
                Piece::Parameter(name, value) => self.add(name, value)?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, scheme: &str, token68: Option<&str>) -> Result<(), Fault> {
        if self.challenges.len() == Challenges::MAX_CHALLENGES {
            return Err(Fault);
        }
        self.open = true;
        self.challenges.push(Challenge {
            scheme: scheme.to_owned(),
            details: token68.map_or_else(
                || Details::Parameters(Vec::new()),
                |value| Details::Token68(value.to_owned()),
            ),
        });
        Ok(())
    }

    fn add(&mut self, name: &str, value: String) -> Result<(), Fault> {
        let last = self.challenges.last_mut().filter(|_| self.open);
        let Details::Parameters(parameters) = &mut last.ok_or(Fault)?.details else {
            return Err(Fault);
        };
        if parameters.len() < Challenges::MAX_PARAMETERS {
            parameters.push((name.to_owned(), value));
        }
        Ok(())
    }
}
