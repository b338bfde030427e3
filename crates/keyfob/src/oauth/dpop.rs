//! Proof of possession, DPoP ([RFC 9449]): each request shows that its sender holds the key that the token is bound to.
//!
//! A bearer token serves whoever has it. A token that is bound to a key is of no use to a thief: each request carries, beside
//! the token, a proof for its method and URL, signed with the key that never leaves the program.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449.html

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

mod nonces;
mod proof;

use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::exchange::exchange::DPOP_NONCE;
use crate::oauth::dpop::nonces::{Nonces, Told};
use crate::oauth::dpop::proof::{Claims, Target, head};
use crate::oauth::signing_key::SigningKey;
use crate::token::token::Token;

/// Proves with each request that the key of its token is here (DPoP, RFC 9449).
///
/// Give the same one to the [`Client`](crate::oauth::Client) that gets the tokens and to the session, layer or middleware that
/// sends them. Clones share the key and what servers want to find in proofs.
///
/// * A proof is new for each attempt, each replay and each redirect. It names the method and the URL without query and fragment,
///   has the wall time of the session's or the client's [`Clock`](crate::clock::Clock), and is bound to the token.
/// * The newest nonce that an origin gave, with whatever answer, is put into the next proof for it. A refusal that asks for
///   another one (`use_dpop_nonce`) is followed by one attempt more, with the same token, if the body can be sent again.
///   An authorization server's nonces are not mixed with those of an API.
/// * Only tokens of the scheme `DPoP` are sent. A bearer token is refused, and so is a server that gives one instead: there is
///   no way back to a token that serves whoever has it.
///
/// Keep the key as long as the tokens: a refresh token that a public client got with it is of use with it alone.
///
/// ```
/// use keyfob::Session;
/// use keyfob::oauth::{Algorithm, Client, ClientCredentials, DpopProver, SigningKey};
///
/// let prover = DpopProver::new(SigningKey::generate(Algorithm::Es256)?);
/// let client = Client::builder("reports")
///     .issuer("https://login.example.com")
///     .dpop(prover.clone())
///     .build()?;
/// let session = Session::builder(ClientCredentials::new(client))
///     .base_url("https://api.example.com/v1/")
///     .dpop(prover)
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
///
/// Tokens of another source need to be given their scheme: `Token::new(text)?.scheme("DPoP")?`.
#[derive(Clone)]
pub struct DpopProver(Arc<Shared>);

struct Shared {
    key: SigningKey,
    /// The first part of every proof, which tells the public half of the key.
    head: String,
    api: Nonces,
    issuer: Nonces,
}

impl DpopProver {
    /// Signs with this key, and knows no nonces yet.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self(Arc::new(Shared {
            head: head(&key),
            key,
            api: Nonces::default(),
            issuer: Nonces::default(),
        }))
    }

    /// The key, whose [thumbprint](SigningKey::thumbprint) a server may want to know beforehand.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// The thumbprint of the key (RFC 7638), by which servers know it (`jkt`).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.key().to_public_jwk().thumbprint()
    }

    /// Whether a token may be sent with a proof; one that is bound to no key may not be sent at all.
    pub(crate) fn check(&self, token: &Token) -> Result<(), Error> {
        if token.is_dpop() {
            return Ok(());
        }
        Err(Error::malformed(
            "possession of a key is to be proved (DPoP), but the token is not bound to one; ask the issuer for a \
             token of the type `DPoP`, and give it that scheme",
        ))
    }

    /// A proof for one request to an API that carries this token, marked sensitive.
    pub(crate) fn prove(
        &self,
        token: &Token,
        method: &Method,
        url: &str,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        self.check(token)?;
        let target = Target::of(url)?;
        let nonce = self.0.api.newest(&target.origin);
        let claims = Claims::new(method, &target, now, nonce.as_deref())?;
        self.sign(&claims.bound_to(token.expose()))
    }

    /// A proof for one request to a token endpoint, marked sensitive.
    pub(crate) fn prove_grant(&self, url: &str, now: SystemTime) -> Result<HeaderValue, Error> {
        let target = Target::of(url)?;
        let nonce = self.0.issuer.newest(&target.origin);
        self.sign(&Claims::new(&Method::POST, &target, now, nonce.as_deref())?)
    }

    fn sign(&self, claims: &Claims<'_>) -> Result<HeaderValue, Error> {
        claims.signed_with(&self.0.head, &self.0.key)
    }

    /// Takes note of the nonce that an answer of an API at this URL may have brought.
    pub(crate) fn record_nonce(&self, url: &str, status: StatusCode, headers: &HeaderMap) {
        let told = || match status {
            StatusCode::UNAUTHORIZED if Challenges::from_headers(headers).use_dpop_nonce() => {
                Told::Demanded
            }
            _ => Told::Beside,
        };
        record_nonce(&self.0.api, url, headers, told);
    }

    /// The same for a token endpoint, which says in the body of a refusal what it wants.
    pub(crate) fn record_issuer_nonce(&self, url: &str, status: StatusCode, headers: &HeaderMap) {
        let told = || match status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Told::Demanded,
            _ => Told::Beside,
        };
        record_nonce(&self.0.issuer, url, headers, told);
    }
}

/// The field that carries the proof (RFC 9449 §4.1).
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

fn record_nonce(nonces: &Nonces, url: &str, headers: &HeaderMap, told: impl FnOnce() -> Told) {
    let Some(nonce) = nonces::of(headers, &DPOP_NONCE) else {
        return;
    };
    let Ok(target) = Target::of(url) else {
        return;
    };
    nonces.record_nonce(target.origin, nonce, told());
}

impl fmt::Debug for DpopProver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopProver")
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;
    use crate::oauth::signing_key::Algorithm;

    const URL: &str = "https://a.example/data";

    /// Learns from an answer; returns the nonce of the next proof.
    fn after(prover: &DpopProver, status: u16, challenge: &'static str, nonce: &str) -> String {
        let headers = HeaderMap::from_iter([
            (WWW_AUTHENTICATE, HeaderValue::from_static(challenge)),
            (DPOP_NONCE, HeaderValue::from_str(nonce).unwrap()),
        ]);
        prover.record_nonce(URL, StatusCode::from_u16(status).unwrap(), &headers);
        let origin = Target::of(URL).unwrap().origin;
        prover.0.api.newest(&origin).unwrap().to_string()
    }

    #[test]
    fn only_a_refusal_for_its_nonce_brings_back_one_that_was_replaced() {
        let prover = DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let wanted = "DPoP error=\"use_dpop_nonce\"";
        assert_eq!(after(&prover, 200, "", "one"), "one");
        assert_eq!(after(&prover, 401, wanted, "two"), "two");
        assert_eq!(after(&prover, 200, "", "one"), "two");
        let invalid = "DPoP error=\"invalid_token\"";
        assert_eq!(after(&prover, 401, invalid, "one"), "two");
        assert_eq!(after(&prover, 503, wanted, "one"), "two");
        assert_eq!(after(&prover, 401, wanted, "one"), "one");
        assert_eq!(after(&prover, 500, "", "three"), "three");
    }
}
