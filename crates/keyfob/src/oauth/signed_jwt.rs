//! A JWT that is signed here and is the token itself.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::signing_key::SigningKey;
use crate::oauth::signing_key::jws::{compact, encode, random_id};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// A JWT that is signed with a private key, and is the token itself.
///
/// For APIs that take such a JWT in place of an access token, and as a link of a chain: the credential with which another
/// token is fetched. The algorithm and the `kid` are those of the [`SigningKey`]. `iat` and `exp` are always set, by the clock of
/// the cache that asks.
///
/// ```
/// use std::time::Duration;
/// use keyfob::oauth::{Algorithm, SigningKey};
/// use keyfob::{SignedJwt, TokenCache};
///
/// let key = SigningKey::generate(Algorithm::Es256)?.key_id("2X9R4HXF34");
/// let jwt = SignedJwt::new(key)
///     .issuer("57246542-96fe-1a63-e053-0824d011072a")
///     .audience("appstoreconnect-v1")
///     .lifetime(Duration::from_secs(15 * 60));
/// let tokens = TokenCache::new(jwt);
/// assert!(tokens.get_valid_token_blocking()?.expose().starts_with("eyJ"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SignedJwt {
    key: SigningKey,
    claims: Map<String, Value>,
    lifetime: Duration,
    backdate: Duration,
    has_not_before: bool,
    has_id: bool,
}

impl SignedJwt {
    /// The default for [`lifetime`](Self::lifetime).
    pub const LIFETIME: Duration = Duration::from_secs(300);

    /// Signs with this key.
    pub fn new(key: SigningKey) -> Self {
        Self {
            key,
            claims: Map::new(),
            lifetime: Self::LIFETIME,
            backdate: Duration::ZERO,
            has_not_before: false,
            has_id: false,
        }
    }

    /// Sets who issues the JWT (`iss`).
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Sets whom the JWT is about (`sub`).
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.claim("sub", subject.into())
    }

    /// Sets who accepts the JWT (`aud`).
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// Sets the scopes of the JWT: the claim `scope`, separated by spaces (RFC 8693 §4.2).
    pub fn scopes<S: AsRef<str>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        let scopes: Vec<_> = scopes.iter().map(AsRef::as_ref).collect();
        self.claim("scope", scopes.join(" "))
    }

    /// Sets any other claim, of any JSON type.
    ///
    /// `iat`, `exp`, `nbf` and `jti` have setters of their own; a token with such a claim is an error.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets how long the JWT is valid from now (`exp`). Default: [`LIFETIME`](Self::LIFETIME).
    ///
    /// Of a lifetime that the API limits, the time of [`backdate`](Self::backdate) may be a part.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how long before now the JWT says that it was issued (`iat`). Default: not at all.
    ///
    /// For servers whose clock may be behind that of this machine: they refuse a JWT of the future.
    pub fn backdate(mut self, backdate: Duration) -> Self {
        self.backdate = backdate;
        self
    }

    /// Adds the claim `nbf` with the time of `iat`.
    pub fn not_before(mut self) -> Self {
        self.has_not_before = true;
        self
    }

    /// Adds the claim `jti` with random text, different for each JWT.
    pub fn unique_id(mut self) -> Self {
        self.has_id = true;
        self
    }

    /// The claims so far, without the times.
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Signs a JWT that is valid from now.
    pub(crate) fn sign(&self, now: SystemTime) -> Result<Zeroizing<String>, Error> {
        let mut claims = self.claims.clone();
        if let Some(name) = RESERVED.iter().find(|name| claims.contains_key(**name)) {
            return Err(Error::input(format!(
                "the claim `{name}` of a signed JWT has a setting of its own; use that"
            )));
        }
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        // Before 1970 the clock is wrong. The server refuses the JWT and says so.
        let now = now.unwrap_or_default();
        let issued = now.saturating_sub(self.backdate).as_secs();
        claims.insert("iat".into(), issued.into());
        claims.insert("exp".into(), (now + self.lifetime).as_secs().into());
        if self.has_not_before {
            claims.insert("nbf".into(), issued.into());
        }
        if self.has_id {
            claims.insert("jti".into(), random_id()?.into());
        }
        let claims = serde_json::to_vec(&claims).expect("claims are JSON already");
        let header = encode(self.key.jose_header().to_string().as_bytes());
        compact(&header, &claims, |text| self.key.signature(text))
            .map_err(|_| Error::input("the private key cannot sign a JWT"))
    }
}

impl TokenSource for SignedJwt {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        let now = request.clock().coarse_time().wall_time();
        Box::pin(async move { Ok(Token::new(self.sign(now)?.as_str())?.expires_in(self.lifetime)) })
    }
}

/// Only the names of the claims: a claim may be confidential.
impl fmt::Debug for SignedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedJwt")
            .field("key", &self.key)
            .field("claims", &self.claims.keys())
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

const RESERVED: [&str; 4] = ["iat", "exp", "nbf", "jti"];
