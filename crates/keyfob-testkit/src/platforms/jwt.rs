//! Checking the JWTs that clients present.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::platforms::clock::FakeClock;
use crate::platforms::key::PlatformKey;

/// A JWT whose signature was not checked yet.
///
/// A platform reads it to learn which key has to check it.
#[derive(Clone, Debug)]
pub struct ReadJwt<'a> {
    /// The head.
    pub head: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> ReadJwt<'a> {
    /// Reads a JWT of three parts, or returns `None` if it is none.
    #[must_use]
    pub fn read(jwt: &'a str) -> Option<Self> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        Some(Self {
            head: object(head)?,
            claims: object(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// The text in this member of the head.
    #[must_use]
    pub fn head_text(&self, name: &str) -> Option<&str> {
        self.head.get(name)?.as_str()
    }

    /// The text of a claim.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// The values of `aud`, which is a text or a list of texts (RFC 7519 §4.1.3).
    #[must_use]
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// What a platform demands of a JWT.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::json;
/// use keyfob_testkit::platforms::{FakeClock, JwtFault, JwtRules, PlatformKey, ReadJwt};
///
/// let clock = FakeClock::default();
/// let key = PlatformKey::p256("key-1");
/// let now = clock.unix_seconds();
/// let jwt = key.sign(&json!({}), &json!({"iss": "app", "iat": now, "exp": now + 3600}));
/// let rules = JwtRules::new(&["ES256"]).issuer("app").max_lifetime(Duration::from_secs(600));
/// let fault = rules.check(&ReadJwt::read(&jwt).unwrap(), &key, &clock);
/// assert_eq!(fault, Err(JwtFault::LivesTooLong { seconds: 3600 }));
/// ```
#[derive(Clone, Debug)]
#[must_use = "rules check nothing by themselves"]
pub struct JwtRules {
    algorithms: &'static [&'static str],
    key_id: bool,
    issuer: Option<String>,
    subject: Option<String>,
    audiences: Vec<String>,
    skew: Duration,
    max_lifetime: Option<Duration>,
    max_ahead: Option<Duration>,
}

impl JwtRules {
    /// Demands one of these algorithms, and integers in `iat` and `exp`.
    pub fn new(algorithms: &'static [&'static str]) -> Self {
        Self {
            algorithms,
            key_id: false,
            issuer: None,
            subject: None,
            audiences: Vec::new(),
            skew: Duration::ZERO,
            max_lifetime: None,
            max_ahead: None,
        }
    }

    /// Demands the id of the key in `kid`.
    pub fn key_id(mut self) -> Self {
        self.key_id = true;
        self
    }

    /// Demands this `iss`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Demands this `sub`.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Demands this `aud`, or another one that was allowed.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Tolerates clocks that differ by this much.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// Demands that `exp` is at most this long after `iat`.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Demands that `exp` is at most this long after the time of the platform, however old the JWT is.
    pub fn max_ahead(mut self, time: Duration) -> Self {
        self.max_ahead = Some(time);
        self
    }

    /// Checks a JWT against these rules, with this key and the time of this clock.
    ///
    /// # Errors
    ///
    /// The first fault, in this order: the signature, the members of the head, the times, the other claims.
    pub fn check(
        &self,
        jwt: &ReadJwt<'_>,
        key: &PlatformKey,
        clock: &FakeClock,
    ) -> Result<(), JwtFault> {
        let algorithm = jwt.head_text("alg").unwrap_or_default();
        if !self.algorithms.contains(&algorithm) {
            return Err(JwtFault::Algorithm(algorithm.to_owned()));
        }
        if self.key_id && jwt.head_text("kid") != Some(key.id()) {
            return Err(JwtFault::KeyId);
        }
        if !key.verifies(algorithm, jwt.signed.as_bytes(), &jwt.signature) {
            return Err(JwtFault::Signature);
        }
        self.check_times(jwt, clock.unix_seconds())?;
        self.check_names(jwt)
    }

    fn check_times(&self, jwt: &ReadJwt<'_>, now: i64) -> Result<(), JwtFault> {
        let skew = i64::try_from(self.skew.as_secs()).unwrap_or(i64::MAX);
        let seconds = |claim: &'static str| {
            let value = jwt.claims.get(claim).and_then(Value::as_i64);
            value.ok_or(JwtFault::NotAnInteger(claim))
        };
        let (issued, expires) = (seconds("iat")?, seconds("exp")?);
        if issued > now.saturating_add(skew) {
            let seconds = issued - now;
            return Err(JwtFault::IssuedInFuture { seconds });
        }
        let begins = jwt.claims.get("nbf").and_then(Value::as_i64);
        if begins.is_some_and(|begins| begins > now.saturating_add(skew)) {
            return Err(JwtFault::NotYetValid);
        }
        if expires.saturating_add(skew) <= now {
            let seconds = now - expires;
            return Err(JwtFault::Expired { seconds });
        }
        let is_longer = |seconds: i64, most: Option<Duration>| {
            most.is_some_and(|most| u64::try_from(seconds).is_ok_and(|is| is > most.as_secs()))
        };
        let seconds = expires.saturating_sub(issued);
        if is_longer(seconds, self.max_lifetime) {
            return Err(JwtFault::LivesTooLong { seconds });
        }
        let seconds = expires.saturating_sub(now);
        if is_longer(seconds, self.max_ahead) {
            return Err(JwtFault::ExpiresTooLate { seconds });
        }
        Ok(())
    }

    fn check_names(&self, jwt: &ReadJwt<'_>) -> Result<(), JwtFault> {
        for (claim, wanted) in [("iss", &self.issuer), ("sub", &self.subject)] {
            if wanted.is_some() && jwt.text(claim) != wanted.as_deref() {
                return Err(JwtFault::Claim(claim));
            }
        }
        let is_allowed = |audience: &&str| self.audiences.iter().any(|allowed| allowed == audience);
        if self.audiences.is_empty() || jwt.audiences().iter().any(is_allowed) {
            return Ok(());
        }
        Err(JwtFault::Claim("aud"))
    }
}

/// The fault of a JWT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtFault {
    /// The algorithm is not one that the platform accepts.
    Algorithm(String),
    /// `kid` is missing, or is not the id of the key.
    KeyId,
    /// The signature was not made with the key.
    Signature,
    /// This claim is missing, or is not an integer.
    NotAnInteger(&'static str),
    /// `iat` is this much ahead of the platform's clock.
    IssuedInFuture {
        /// By how much.
        seconds: i64,
    },
    /// `nbf` has not come.
    NotYetValid,
    /// `exp` passed this long ago.
    Expired {
        /// How long ago.
        seconds: i64,
    },
    /// It is valid for longer than the platform allows.
    LivesTooLong {
        /// The time from `iat` to `exp`.
        seconds: i64,
    },
    /// `exp` is further in the future than the platform allows.
    ExpiresTooLate {
        /// The time from the platform's now to `exp`.
        seconds: i64,
    },
    /// This claim is missing, or has a value that the platform does not accept.
    Claim(&'static str),
}

impl fmt::Display for JwtFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm(name) => write!(f, "the JWT is signed as {name:?}"),
            Self::KeyId => f.write_str("the JWT has no `kid`, or another one"),
            Self::Signature => f.write_str("the signature of the JWT is wrong"),
            Self::NotAnInteger(claim) => write!(f, "`{claim}` of the JWT is no integer"),
            Self::IssuedInFuture { seconds } => {
                write!(f, "the JWT was issued {seconds} s in the future")
            }
            Self::NotYetValid => f.write_str("the JWT is not valid yet"),
            Self::Expired { seconds } => write!(f, "the JWT expired {seconds} s ago"),
            Self::LivesTooLong { seconds } => write!(f, "the JWT lives {seconds} s"),
            Self::ExpiresTooLate { seconds } => {
                write!(f, "the JWT expires {seconds} s in the future")
            }
            Self::Claim(claim) => write!(f, "`{claim}` of the JWT is missing or wrong"),
        }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
