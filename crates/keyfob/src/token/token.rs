//! The token: a secret, when it ends, and the headers that carry it.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::error::error::Error;
use crate::token::secret::Secret;

/// A token with its expiry; what the API reference calls `JWT`.
///
/// The text is opaque: it is never trusted because of what it says. `Debug` does not show it, and its memory is
/// overwritten when the last clone goes.
///
/// ```
/// use std::time::Duration;
/// use keyfob::Token;
///
/// let token = Token::new("mF_9.B5f-4.1JqM")?.expires_in(Duration::from_secs(3600));
/// assert!(!format!("{token:?}").contains("mF_9"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Token {
    pub(super) secret: Secret,
    pub(super) carrier: Carrier,
    pub(super) others: Vec<(HeaderName, Secret)>,
    pub(super) expiry: Expiry,
    pub(super) recheck: Option<Duration>,
    pub(super) obtained: Option<SystemTime>,
    pub(super) refresh: Option<Secret>,
}

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nobody said: the token is used until it is rejected, or until the cache's default lifetime has passed.
    Unknown,
    /// At this time of the wall clock.
    At(SystemTime),
    /// So long after the moment the source was asked (`expires_in` of RFC 6749 §5.1).
    In(Duration),
}

/// How a token's text becomes a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `Authorization: <scheme> <text>`.
    Scheme(String),
    /// A field of another name that holds the text alone.
    Field(HeaderName),
    /// `Authorization: <text>`, where the text brings its own scheme.
    Whole,
}

impl Token {
    /// A bearer token (RFC 6750 §2.1) whose expiry is unknown.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the text is empty or has a character that no header
    /// may carry. The error does not quote it.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let secret = Secret::new(text.into())?;
        Ok(Self::carried(secret, Carrier::Scheme(BEARER.to_owned())))
    }

    pub(super) fn carried(secret: Secret, carrier: Carrier) -> Self {
        Self {
            secret,
            carrier,
            others: Vec::new(),
            expiry: Expiry::Unknown,
            recheck: None,
            obtained: None,
            refresh: None,
        }
    }

    /// Sets the time of the wall clock at which the token ends.
    #[must_use]
    pub fn expires_at(self, time: SystemTime) -> Self {
        self.expiry(Expiry::At(time))
    }

    /// Sets how long the token lives, counted from the moment its source was asked.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.expiry(Expiry::In(lifetime))
    }

    /// Sets the expiry.
    #[must_use]
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Reads the `exp` claim (RFC 7519 §4.1.4) as a hint, if the expiry is unknown and the text is a JWT.
    ///
    /// Nothing is verified: the claim only says when to ask for the next token.
    #[must_use]
    pub fn expiry_from_jwt(mut self) -> Self {
        if self.expiry == Expiry::Unknown
            && let Some(time) = jwt_expiry(self.secret.expose())
        {
            self.expiry = Expiry::At(time);
        }
        self
    }

    /// Asks the source again after this time, though the token may last longer.
    ///
    /// For sources that can change under the program and are cheap to ask, such as a file.
    #[must_use]
    pub fn recheck_after(mut self, pause: Duration) -> Self {
        self.recheck = Some(pause);
        self
    }

    /// Says when its source was asked for it, if that was not just now: a token that was kept somewhere has a past.
    ///
    /// From this moment its lifetime counts.
    #[must_use]
    pub fn obtained_at(mut self, time: SystemTime) -> Self {
        self.obtained = Some(time);
        self
    }

    /// Adds the refresh token that came with it (RFC 6749 §1.5), with which the next token is got.
    ///
    /// It is never put on a request to an API.
    ///
    /// ```
    /// use keyfob::Token;
    ///
    /// let token = Token::new("2YotnFZFEjr1zCsicMWpAA")?.with_refresh_token("tGzv3JOkF0XG5Qx2TlKWIA")?;
    /// assert!(token.headers().iter().all(|(_, value)| !value.as_bytes().ends_with(b"TlKWIA")));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is empty or not of visible characters and spaces.
    pub fn with_refresh_token(mut self, text: impl Into<String>) -> Result<Self, Error> {
        self.refresh = Some(Secret::new_field(text.into())?);
        Ok(self)
    }

    /// Keeps this refresh token if the server sent none.
    ///
    /// RFC 6749 §6: "The authorization server MAY issue a new refresh token". If it does not, the old one stays valid.
    #[cfg(any(feature = "oauth", feature = "store"))]
    pub(crate) fn or_refresh_token(mut self, old: Option<&Secret>) -> Self {
        self.refresh = self.refresh.or_else(|| old.cloned());
        self
    }

    /// The refresh token as a secret, which is not checked again when it is passed on.
    #[cfg(any(feature = "oauth", feature = "store"))]
    pub(crate) fn refresh_secret(&self) -> Option<&Secret> {
        self.refresh.as_ref()
    }

    /// Carries the token in `Authorization` under another scheme than `Bearer` (RFC 9110 §11.4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the scheme is not a token of RFC 9110 §5.6.2.
    pub fn scheme(mut self, scheme: &str) -> Result<Self, Error> {
        if HeaderName::from_bytes(scheme.as_bytes()).is_err() {
            return Err(Error::input(
                "the authentication scheme has a character that it may not have; give a word such as `Bearer`",
            ));
        }
        self.carrier = Carrier::Scheme(scheme.to_owned());
        Ok(self)
    }

    /// Carries the token alone in a field of another name, such as `x-api-key`.
    #[must_use]
    pub fn header_name(mut self, name: HeaderName) -> Self {
        self.carrier = Carrier::Field(name);
        self
    }

    /// Sends one more secret field beside the token, as a credential helper may ask for.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_header(
        mut self,
        name: HeaderName,
        value: impl Into<String>,
    ) -> Result<Self, Error> {
        self.others.push((name, Secret::new_field(value.into())?));
        Ok(self)
    }

    /// A credential that is a whole `Authorization` value, scheme and all.
    pub(crate) fn from_authorization(value: impl Into<String>) -> Result<Self, Error> {
        let value = value.into();
        if let Some((scheme, text)) = value.split_once(' ')
            && let Ok(token) = Self::new(text.trim_start_matches(' '))
            && let Ok(token) = token.scheme(scheme)
        {
            return Ok(token);
        }
        Ok(Self::carried(Secret::new_field(value)?, Carrier::Whole))
    }

    /// A credential that is the whole value of a field of another name, which may have spaces inside.
    pub(crate) fn from_field(name: HeaderName, value: impl Into<String>) -> Result<Self, Error> {
        let secret = Secret::new_field(value.into())?;
        Ok(Self::carried(secret, Carrier::Field(name)))
    }

    /// The token's text. Each call is a place where the secret leaves its type: do not print or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// When the token ends.
    #[must_use]
    pub fn expires(&self) -> Expiry {
        self.expiry
    }

    /// When its source was asked for it, if that was [said](Self::obtained_at).
    #[must_use]
    pub fn obtained(&self) -> Option<SystemTime> {
        self.obtained
    }

    /// The refresh token that came with it. Each call is a place where a secret leaves its type.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh.as_ref().map(Secret::expose)
    }

    /// The scheme under which the token stands in `Authorization` (RFC 9110 §11.4).
    ///
    /// `None` if another field carries it, and if the text is a whole `Authorization` value, of which no part is shown.
    #[must_use]
    pub fn authentication_scheme(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Scheme(scheme) => Some(scheme),
            Carrier::Field(_) | Carrier::Whole => None,
        }
    }

    /// Whether it is sent as a bearer token (RFC 6750 §2.1); the case of the scheme does not matter.
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        self.is_of(BEARER)
    }

    /// Whether it is sent as a token that is bound to a key (RFC 9449 §7.1); the case of the scheme does not matter.
    #[must_use]
    pub fn is_dpop(&self) -> bool {
        self.is_of(DPOP)
    }

    fn is_of(&self, scheme: &str) -> bool {
        self.authentication_scheme()
            .is_some_and(|own| own.eq_ignore_ascii_case(scheme))
    }

    pub(crate) fn recheck(&self) -> Option<Duration> {
        self.recheck
    }

    /// Whether both would be sent as the same credential.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.secret.same_as(&other.secret)
            && self.carrier == other.carrier
            && self.others.len() == other.others.len()
            && self
                .others
                .iter()
                .zip(&other.others)
                .all(|(a, b)| a.0 == b.0 && a.1.same_as(&b.1))
    }

    /// The fields that carry the credential, each marked sensitive; the token's own is the first.
    #[must_use]
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let own = match &self.carrier {
            Carrier::Scheme(scheme) => (AUTHORIZATION, self.secret.header_value(Some(scheme))),
            Carrier::Field(name) => (name.clone(), self.secret.header_value(None)),
            Carrier::Whole => (AUTHORIZATION, self.secret.header_value(None)),
        };
        let others = self
            .others
            .iter()
            .map(|(name, secret)| (name.clone(), secret.header_value(None)));
        std::iter::once(own).chain(others).collect()
    }
}

/// What a hook may return: the token's text, alone or with its expiry.
///
/// Implemented for `String` and `&str` (a JWT's `exp` is read as a hint), for pairs of them with a `SystemTime` or a
/// `Duration`, and for [`Token`].
pub trait IntoToken {
    /// Makes the token.
    ///
    /// # Errors
    ///
    /// As [`Token::new`].
    fn into_token(self) -> Result<Token, Error>;
}

impl IntoToken for Token {
    fn into_token(self) -> Result<Token, Error> {
        Ok(self)
    }
}

impl IntoToken for String {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self)?.expiry_from_jwt())
    }
}

impl IntoToken for &str {
    fn into_token(self) -> Result<Token, Error> {
        self.to_owned().into_token()
    }
}

impl<T: Into<String>> IntoToken for (T, SystemTime) {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self.0)?.expires_at(self.1))
    }
}

impl<T: Into<String>> IntoToken for (T, Duration) {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self.0)?.expires_in(self.1))
    }
}

/// The `exp` claim of a JWT in compact form (RFC 7515 §7.1), if it can be read.
fn jwt_expiry(text: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }

    let mut parts = text.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    // RFC 7519 §2: a NumericDate may have a fraction.
    let since_epoch = Duration::try_from_secs_f64(exp).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

const BEARER: &str = "Bearer";
const DPOP: &str = "DPoP";

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!(
            "eyJhbGciOiJub25lIn0.{}.c2ln",
            URL_SAFE_NO_PAD.encode(claims)
        )
    }

    #[test]
    fn s1_debug_hides_the_token_its_other_headers_and_its_refresh_token() {
        let token = Token::new("s3cr3t")
            .unwrap()
            .with_header(HeaderName::from_static("x-key"), "s3cr3t-too")
            .unwrap()
            .with_refresh_token("s3cr3t-of-the-next")
            .unwrap();
        let shown = format!("{token:?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn t5_a_jwt_tells_its_expiry_as_a_hint() {
        let token = Token::new(jwt(r#"{"exp":1893456000}"#))
            .unwrap()
            .expiry_from_jwt();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        assert_eq!(token.expires(), Expiry::At(expected));
    }

    #[test]
    fn t5_a_given_expiry_wins_over_the_hint() {
        let token = Token::new(jwt(r#"{"exp":1}"#))
            .unwrap()
            .expires_in(Duration::from_secs(9))
            .expiry_from_jwt();
        assert_eq!(token.expires(), Expiry::In(Duration::from_secs(9)));
    }

    #[test]
    fn text_that_is_no_jwt_has_no_expiry() {
        for text in [
            "opaque".to_owned(),
            "a.b.c".to_owned(),
            jwt("[]"),
            jwt(r#"{"exp":"soon"}"#),
            jwt(r#"{"exp":-5}"#),
            jwt(r#"{"exp":1e300}"#),
            format!("{}.d.e", jwt(r#"{"exp":1893456000}"#)),
        ] {
            let token = Token::new(text).unwrap().expiry_from_jwt();
            assert_eq!(token.expires(), Expiry::Unknown);
        }
    }

    #[test]
    fn a_whole_authorization_value_keeps_its_scheme() {
        let token = Token::from_authorization("Bearer abc").unwrap();
        assert_eq!(token.expose(), "abc");
        assert_eq!(token.headers()[0].1.as_bytes(), b"Bearer abc");
        let whole = Token::from_authorization("Digest username=\"u\", uri=\"/\"").unwrap();
        assert_eq!(
            whole.headers()[0].1.as_bytes(),
            b"Digest username=\"u\", uri=\"/\""
        );
    }

    #[test]
    fn the_scheme_is_told_where_there_is_one_apart_from_the_secret() {
        let bearer = Token::new("abc").unwrap();
        assert_eq!(bearer.authentication_scheme(), Some("Bearer"));
        assert!(bearer.is_bearer());
        let lower = bearer.clone().scheme("bearer").unwrap();
        assert!(lower.is_bearer());
        let other = bearer.clone().scheme("DPoP").unwrap();
        assert_eq!(other.authentication_scheme(), Some("DPoP"));
        assert!(!other.is_bearer());
        assert!(other.is_dpop() && !bearer.is_dpop());
        let field = bearer.header_name(HeaderName::from_static("x-api-key"));
        assert_eq!(field.authentication_scheme(), None);
        assert!(!field.is_bearer());
        let whole = Token::from_authorization("Digest a=\"b\", c=\"d\"").unwrap();
        assert_eq!(whole.authentication_scheme(), None);
    }

    #[test]
    fn another_field_carries_the_text_alone() {
        let token = Token::new("k")
            .unwrap()
            .header_name(HeaderName::from_static("x-api-key"));
        let headers = token.headers();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[0].0, "x-api-key");
        assert_eq!(headers[0].1.as_bytes(), b"k");
    }
}
