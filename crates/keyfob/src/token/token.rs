//! The token: a secret text, its expiry, and the header fields that carry it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::token::jwt;
use crate::token::secret::Secret;

/// A token and its expiry, called `JWT` in the API reference.
///
/// keyfob never trusts a token because of its text. `Debug` does not show the text, and its memory is overwritten when
/// the last clone is dropped.
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
    secret: Secret,
    carrier: Carrier,
    others: Vec<(HeaderName, Secret)>,
    expiry: Expiry,
    recheck: Option<Duration>,
    obtained: Option<SystemTime>,
    refresh: Option<Secret>,
    scope: Option<Arc<str>>,
}

/// When a token expires.
///
/// [`Token`](crate::Token) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Not known. The token is used until a server rejects it, or for the cache's default lifetime.
    Unknown,
    /// At this time on the wall clock.
    At(SystemTime),
    /// This long after the source was asked for it (`expires_in` of RFC 6749 §5.1).
    In(Duration),
    /// Perhaps at this time on the wall clock, as the token's own text says (`exp` of RFC 7519 §4.1.4).
    ///
    /// It decides when the next token is fetched. The token is sent even after this time, because nothing was verified, and
    /// the clocks of issuer and machine may differ.
    Hint(SystemTime),
}

impl Expiry {
    /// The expiry to use for a token that arrives at this time: the default lifetime if nothing better is known (T5).
    ///
    /// A hint that has passed already says nothing about when to ask again.
    pub(crate) fn known_at(self, now: SystemTime, default_lifetime: Option<Duration>) -> Self {
        match self {
            Self::Hint(time) if time > now => self,
            Self::Hint(_) | Self::Unknown => default_lifetime.map_or(Self::Unknown, Self::In),
            Self::At(_) | Self::In(_) => self,
        }
    }
}

/// The header field that carries a token's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `Authorization: <scheme> <text>`.
    Scheme(String),
    /// Another field, whose value is the text.
    Field(HeaderName),
    /// `Authorization: <text>`, where the text includes its own scheme.
    Whole,
}

impl Token {
    /// Makes a bearer token (RFC 6750 §2.1) whose expiry is unknown.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the text is empty or has a character that a header must
    /// not contain. The error does not quote the text.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let secret = Secret::new(text.into())?;
        Ok(Self::carried(secret, Carrier::Scheme(BEARER.to_owned())))
    }

    /// Makes a credential of a user and a password, which is sent as `Authorization: Basic` (RFC 7617).
    ///
    /// Both are encoded as UTF-8. The password may be empty, as for an API key that is sent as the user.
    ///
    /// ```
    /// use keyfob::Token;
    ///
    /// let token = Token::basic("Aladdin", "open sesame")?;
    /// assert_eq!(token.headers()[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if the user has a colon, which would end it, or if one of them has a
    /// control character, such as a line end. The error quotes neither.
    pub fn basic(user: &str, password: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::malformed(
                "the user has a colon, and what follows it would be taken for the password (RFC 7617); check that it is the user alone",
            ));
        }
        // RFC 7617 §2: "The user-id and password MUST NOT contain any control characters".
        if let Some((what, _)) = [("user", user), ("password", password)]
            .iter()
            .find(|(_, text)| text.contains(char::is_control))
        {
            return Err(Error::malformed(format!(
                "the {what} has a control character such as a line end, which Basic authentication does not allow (RFC 7617)"
            )));
        }
        let text = Zeroizing::new(format!("{user}:{password}"));
        let secret = Secret::new(STANDARD.encode(text.as_bytes()))?;
        Ok(Self::carried(secret, Carrier::Scheme(BASIC.to_owned())))
    }

    fn carried(secret: Secret, carrier: Carrier) -> Self {
        Self {
            secret,
            carrier,
            others: Vec::new(),
            expiry: Expiry::Unknown,
            recheck: None,
            obtained: None,
            refresh: None,
            scope: None,
        }
    }

    /// Sets the time on the wall clock at which the token expires.
    #[must_use]
    pub fn expires_at(self, time: SystemTime) -> Self {
        self.expiry(Expiry::At(time))
    }

    /// Sets the token's lifetime, which begins when its source was asked for it.
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

    /// Takes the expiry from the `exp` claim (RFC 7519 §4.1.4), if it is unknown and the text is a JWT.
    ///
    /// Nothing is verified: the claim is only a [hint](Expiry::Hint) for when to fetch the next token.
    #[must_use]
    pub fn expiry_from_jwt(mut self) -> Self {
        if self.expiry == Expiry::Unknown
            && let Some(time) = jwt::expiry(self.secret.expose())
        {
            self.expiry = Expiry::Hint(time);
        }
        self
    }

    /// Makes the token due after this time, even if it expires later.
    ///
    /// For sources that may change at any time and are cheap to read, such as a file.
    #[must_use]
    pub fn recheck_after(mut self, pause: Duration) -> Self {
        self.recheck = Some(pause);
        self
    }

    /// Sets when the source was asked for the token. Its lifetime begins at this time.
    ///
    /// For a token that was stored in the meantime. Unless set, the token counts as new.
    #[must_use]
    pub fn obtained_at(mut self, time: SystemTime) -> Self {
        self.obtained = Some(time);
        self
    }

    /// Adds the refresh token that was issued with the token (RFC 6749 §1.5).
    ///
    /// It is used to get the next token, and is never put on a request to an API.
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
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is empty, or has characters other than visible ASCII
    /// and spaces.
    pub fn with_refresh_token(mut self, text: impl Into<String>) -> Result<Self, Error> {
        self.refresh = Some(Secret::new_field(text.into())?);
        Ok(self)
    }

    /// Sets the scopes that the issuer granted, separated by spaces (RFC 6749 §3.3).
    ///
    /// They are for people and for renewals, and are never sent to an API.
    ///
    /// ```
    /// use keyfob::Token;
    ///
    /// let token = Token::new("2YotnFZFEjr1zCsicMWpAA")?.with_scope("read write");
    /// assert_eq!(token.scope(), Some("read write"));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        // Shown in a terminal, so it keeps to the characters that RFC 6749 §3.3 allows.
        let words = scope.split_ascii_whitespace();
        let words: Vec<_> = words
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_graphic()))
            .collect();
        self.scope = (!words.is_empty()).then(|| words.join(" ").into());
        self
    }

    /// Keeps this scope if the server sent none: it granted what was asked for (RFC 6749 §5.1).
    pub(crate) fn or_scope(self, scope: Option<&str>) -> Self {
        match (&self.scope, scope) {
            (None, Some(scope)) => self.with_scope(scope),
            _ => self,
        }
    }

    /// Keeps this refresh token if the server sent none.
    ///
    /// RFC 6749 §6: "The authorization server MAY issue a new refresh token". If it does not, the old one stays valid.
    pub(crate) fn or_refresh_token(mut self, old: Option<&Secret>) -> Self {
        self.refresh = self.refresh.or_else(|| old.cloned());
        self
    }

    /// The refresh token as a secret, which needs no second check.
    pub(crate) fn refresh_secret(&self) -> Option<&Secret> {
        self.refresh.as_ref()
    }

    /// Sends the token in `Authorization` with another scheme than `Bearer` (RFC 9110 §11.4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the scheme is not a token of RFC 9110 §5.6.2.
    pub fn scheme(self, scheme: &str) -> Result<Self, Error> {
        check_scheme(scheme)?;
        Ok(self.with_checked_scheme(scheme.to_owned()))
    }

    /// The same with a scheme that has been checked.
    pub(crate) fn with_checked_scheme(mut self, scheme: String) -> Self {
        self.carrier = Carrier::Scheme(scheme);
        self
    }

    /// Sends the token alone in another header field, such as `x-api-key`.
    #[must_use]
    pub fn header_name(mut self, name: HeaderName) -> Self {
        self.carrier = Carrier::Field(name);
        self
    }

    /// Adds another secret header field, which some credential helpers return.
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

    /// Makes a token of a whole `Authorization` value, which includes the scheme.
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

    /// Makes a token of the whole value of another header field, which may contain spaces.
    pub(crate) fn from_field(name: HeaderName, value: impl Into<String>) -> Result<Self, Error> {
        let secret = Secret::new_field(value.into())?;
        Ok(Self::carried(secret, Carrier::Field(name)))
    }

    /// Returns the token's text. It is a secret: do not print or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// Returns when the token expires.
    #[must_use]
    pub fn expires(&self) -> Expiry {
        self.expiry
    }

    /// Returns when the source was asked for the token, if [set](Self::obtained_at).
    #[must_use]
    pub fn obtained(&self) -> Option<SystemTime> {
        self.obtained
    }

    /// Returns the refresh token that was issued with the token. It is a secret: do not print it.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh.as_ref().map(Secret::expose)
    }

    /// Returns the scopes that the issuer granted, separated by spaces, if they are known.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Returns the scheme before the token in `Authorization` (RFC 9110 §11.4).
    ///
    /// `None` if another field carries the token, or if the text is a whole `Authorization` value, because any part of
    /// that may be secret.
    #[must_use]
    pub fn authentication_scheme(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::Scheme(scheme) => Some(scheme),
            Carrier::Field(_) | Carrier::Whole => None,
        }
    }

    /// Whether the scheme is `Bearer` (RFC 6750 §2.1), in any case.
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        self.has_scheme(BEARER)
    }

    /// Whether the scheme is `DPoP`, for a token that is bound to a key (RFC 9449 §7.1), in any case.
    #[must_use]
    pub fn is_dpop(&self) -> bool {
        self.has_scheme(DPOP)
    }

    fn has_scheme(&self, scheme: &str) -> bool {
        self.authentication_scheme()
            .is_some_and(|own| own.eq_ignore_ascii_case(scheme))
    }

    pub(crate) fn recheck(&self) -> Option<Duration> {
        self.recheck
    }

    /// Whether both tokens are sent as the same header fields.
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

    /// Whether both tokens have the same text, in whatever field it is sent.
    pub(crate) fn same_text_as(&self, other: &Self) -> bool {
        self.secret.same_as(&other.secret)
    }

    /// Returns the header fields to send, each marked sensitive. The first one carries the token.
    #[must_use]
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let own = match &self.carrier {
            Carrier::Scheme(scheme) => (AUTHORIZATION, self.secret.header_value(Some(scheme))),
            Carrier::Field(name) => (name.clone(), self.secret.header_value(None)),
            Carrier::Whole => (AUTHORIZATION, self.secret.header_value(None)),
        };
        std::iter::once(own)
            .chain(self.headers_of_others())
            .collect()
    }
}

impl Token {
    /// Returns the header fields, and the same token, whose text is now a part of theirs: it is in memory once.
    #[must_use]
    pub(crate) fn into_shared_headers(mut self) -> (Self, Vec<(HeaderName, HeaderValue)>) {
        let (name, scheme) = match &self.carrier {
            Carrier::Scheme(scheme) => (AUTHORIZATION, Some(&**scheme)),
            Carrier::Field(name) => (name.clone(), None),
            Carrier::Whole => (AUTHORIZATION, None),
        };
        let (secret, value) = self.secret.sharing_header_value(scheme);
        self.secret = secret;
        let mut headers = self.headers_of_others();
        headers.insert(0, (name, value));
        (self, headers)
    }

    fn headers_of_others(&self) -> Vec<(HeaderName, HeaderValue)> {
        let others = self.others.iter();
        others
            .map(|(name, secret)| (name.clone(), secret.header_value(None)))
            .collect()
    }
}

/// What stores need to save a token and to make it again.
impl Token {
    /// Undoes [`recheck_after`](Self::recheck_after).
    pub(crate) fn never_recheck(mut self) -> Self {
        self.recheck = None;
        self
    }

    /// Replaces the refresh token by a newer one.
    pub(crate) fn replace_refresh_token(mut self, newest: Secret) -> Self {
        self.refresh = Some(newest);
        self
    }

    /// Makes a token that only carries a refresh token: it has expired, so it is never sent.
    pub(crate) fn expired_with_refresh_token(newest: Secret) -> Self {
        let text = Secret::new("none".to_owned()).expect("it is visible ASCII");
        Self::carried(text, Carrier::Scheme(BEARER.to_owned()))
            .expires_at(SystemTime::UNIX_EPOCH)
            .replace_refresh_token(newest)
    }

    /// Makes a token that is sent by this carrier, as a store read it.
    pub(crate) fn carried_by(text: String, carrier: Carrier) -> Result<Self, Error> {
        Ok(match carrier {
            Carrier::Scheme(scheme) => Self::new(text)?.scheme(&scheme)?,
            other => Self::carried(Secret::new_field(text)?, other),
        })
    }

    pub(crate) fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    /// The additional header fields with their secret values, for a store.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.others
            .iter()
            .map(|(name, secret)| (name, secret.expose()))
    }
}

/// Checks that this is the name of an authentication scheme (RFC 9110 §11.1).
pub(crate) fn check_scheme(scheme: &str) -> Result<(), Error> {
    match HeaderName::from_bytes(scheme.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::input(
            "the authentication scheme has a character that is not allowed; give a word such as `Bearer`",
        )),
    }
}

pub(crate) const BEARER: &str = "Bearer";
const BASIC: &str = "Basic";
pub(crate) const DPOP: &str = "DPoP";

#[cfg(test)]
mod tests;
