//! Proof of possession, DPoP ([RFC 9449]): each request shows that its sender holds the key that the token is bound to.
//!
//! Anyone who has a bearer token can use it. A stolen token that is bound to a key is useless without the key: each request
//! carries, in addition to the token, a proof for its method and URL. The key that signs the proof never leaves the program.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449.html

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method, StatusCode};

pub(crate) mod nonces;
mod proof;

use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::exchange::proof::RequestProof;
use crate::oauth::dpop::nonces::{NonceOrigin, Nonces, read_nonce};
use crate::oauth::dpop::proof::{Claims, Target, jws_header};
use crate::oauth::signing_key::SigningKey;
use crate::token::token::Token;

/// Proves with each request that the sender holds the token's key (RFC 9449).
///
/// Give the same prover to the [`Client`](crate::oauth::Client) that gets the tokens and to the session, layer or middleware
/// that sends them. Clones share the key and the nonces that servers supplied.
///
/// * Each attempt, replay and redirect gets a new proof. The proof names the method and the URL without query and fragment,
///   carries the wall time of the session's or client's [`Clock`](crate::clock::Clock), and is bound to the token.
/// * The next proof for an origin contains the newest nonce from any response of that origin. If a 401 asks for another nonce
///   (`use_dpop_nonce`), the request is sent once more with the same token, provided that its body can be sent again.
///   The nonces of authorization servers and of APIs are kept apart.
/// * Only tokens with the scheme `DPoP` are sent. A bearer token is refused, and so is a token response that contains one:
///   there is no fallback to a token that anyone can use.
///
/// Keep the key for as long as the tokens: the refresh token of a public client works only with the key it was issued for.
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
/// Set the scheme of tokens from any other source yourself: `Token::new(text)?.scheme("DPoP")?`.
#[derive(Clone)]
pub struct DpopProver(Arc<SharedProver>);

struct SharedProver {
    key: SigningKey,
    /// The first part of every proof, in base64url. It contains the public key.
    jws_header: String,
    // Kept apart: an authorization server and an API at one origin may supply different nonces (RFC 9449 §8, §9).
    api_nonces: Nonces,
    issuer_nonces: Nonces,
}

impl DpopProver {
    /// Creates a prover that signs with this key and knows no nonces yet.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self(Arc::new(SharedProver {
            jws_header: jws_header(&key),
            key,
            api_nonces: Nonces::default(),
            issuer_nonces: Nonces::default(),
        }))
    }

    /// The key that signs the proofs.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.0.key
    }

    /// The thumbprint by which servers identify the key (`jkt`, RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.key().thumbprint()
    }

    /// A proof for one POST to an authorization server, marked sensitive.
    pub(crate) fn prove_issuer_request(
        &self,
        url: &str,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        let target = Target::parse(url)?;
        let nonce = self.0.issuer_nonces.newest(&target.origin);
        let claims = Claims::new(&Method::POST, &target, now, nonce.as_deref())?;
        claims.sign(&self.0.jws_header, &self.0.key)
    }

    /// Records the nonce from an authorization server's response, if there is one.
    ///
    /// It names its error in the body instead of a challenge, so each 400 or 401 counts as a demand.
    pub(crate) fn record_issuer_nonce(&self, url: &str, status: StatusCode, headers: &HeaderMap) {
        let demanded = || matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED);
        record_nonce(&self.0.issuer_nonces, url, headers, demanded);
    }
}

impl RequestProof for DpopProver {
    fn check(&self, token: &Token) -> Result<(), Error> {
        if token.is_dpop() {
            return Ok(());
        }
        Err(Error::malformed(
            "DPoP is configured, but the token is not bound to a key; ask the issuer for a token of type `DPoP` and set \
             that scheme on the token",
        ))
    }

    fn prove(
        &self,
        token: &Token,
        method: &Method,
        url: &str,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        // Fails closed: a proof would make a bearer token look as if it were bound (R2).
        self.check(token)?;
        let target = Target::parse(url)?;
        let nonce = self.0.api_nonces.newest(&target.origin);
        let claims = Claims::new(method, &target, now, nonce.as_deref())?;
        let claims = claims.bound_to(token.expose());
        claims.sign(&self.0.jws_header, &self.0.key)
    }

    fn record_nonce(&self, url: &str, status: StatusCode, headers: &HeaderMap) {
        // A closure, because challenges are parsed only if the response has a nonce at all.
        let demanded = || {
            status == StatusCode::UNAUTHORIZED && Challenges::from_headers(headers).use_dpop_nonce()
        };
        record_nonce(&self.0.api_nonces, url, headers, demanded);
    }
}

fn record_nonce(nonces: &Nonces, url: &str, headers: &HeaderMap, demanded: impl FnOnce() -> bool) {
    if let Some(nonce) = read_nonce(headers)
        && let Ok(target) = Target::parse(url)
    {
        let origin = match demanded() {
            true => NonceOrigin::Demand,
            false => NonceOrigin::OtherResponse,
        };
        nonces.record(target.origin, nonce, origin);
    }
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
    use crate::exchange::proof::DPOP_NONCE;
    use crate::oauth::signing_key::key_pair::Algorithm;

    const URL: &str = "https://a.example/data";

    /// Records the nonce of a response and returns the nonce of the next proof.
    fn next_nonce_after(
        prover: &DpopProver,
        status: u16,
        challenge: &'static str,
        nonce: &str,
    ) -> String {
        let headers = HeaderMap::from_iter([
            (WWW_AUTHENTICATE, HeaderValue::from_static(challenge)),
            (DPOP_NONCE, HeaderValue::from_str(nonce).unwrap()),
        ]);
        prover.record_nonce(URL, StatusCode::from_u16(status).unwrap(), &headers);
        let origin = Target::parse(URL).unwrap().origin;
        prover.0.api_nonces.newest(&origin).unwrap().to_string()
    }

    #[test]
    fn only_a_401_that_demands_a_replaced_nonce_brings_it_back() {
        let prover = DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let after = |status, challenge, nonce| next_nonce_after(&prover, status, challenge, nonce);
        let demand = "DPoP error=\"use_dpop_nonce\"";
        assert_eq!(after(200, "", "one"), "one");
        assert_eq!(after(401, demand, "two"), "two");
        assert_eq!(after(200, "", "one"), "two");
        let invalid = "DPoP error=\"invalid_token\"";
        assert_eq!(after(401, invalid, "one"), "two");
        assert_eq!(after(503, demand, "one"), "two");
        assert_eq!(after(401, demand, "one"), "one");
        assert_eq!(after(500, "", "three"), "three");
    }
}
