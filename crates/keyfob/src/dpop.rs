//! Proof of possession, DPoP ([RFC 9449]): each request shows that its sender holds the key that the token is bound to.
//!
//! A bearer token serves whoever has it. A token that is bound to a key is of no use to a thief: each request carries, beside
//! the token, a proof for its method and URL, signed with the key that never leaves the program. Give a session, a layer or a
//! middleware a [`DpopProver`], and its tokens the scheme `DPoP`; the rest is done here.
//!
//! [RFC 9449]: https://www.rfc-editor.org/rfc/rfc9449.html

mod jwk;
pub(crate) mod key;
mod nonces;
mod proof;

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;

use crate::dpop::key::DpopKey;
use crate::dpop::nonces::Nonces;
use crate::dpop::nonces::Told;
use crate::dpop::proof::Claims;
use crate::dpop::proof::Target;
use crate::error::Error;
use crate::exchange::DPOP_NONCE;
use crate::token::Token;

/// Makes a proof for each request (RFC 9449), and remembers what servers want to find in it.
///
/// Clones share the key and the nonces. A proof is new for each attempt, each replay and each redirect, names the method and
/// the URL without query and fragment, and is bound to the token. The newest nonce that an origin gave with any answer is put
/// into the next proof for it; a 401 that asks for another one (`use_dpop_nonce`) is followed by one attempt more, with the
/// same token, if the body can be sent again.
///
/// The tokens must have the scheme `DPoP`. Any other is refused before anything is sent: a session that proves possession
/// never falls back to a bearer token. Servers allow for little difference between clocks: the proof has the wall
/// time of the session's [`Clock`](crate::Clock).
///
/// ```
/// use keyfob::{DpopKey, DpopProver, Session, Token};
///
/// # fn exchange_code() -> Result<String, std::io::Error> { Ok("Kz~8mXK1EalYznwH-LC-1fBAo".to_owned()) }
/// let prover = DpopProver::new(DpopKey::generate()?);
/// let session = Session::builder(keyfob::hook_blocking(|_| {
///     Ok::<_, keyfob::BoxError>(Token::new(exchange_code()?)?.scheme("DPoP")?)
/// }))
/// .base_url("https://api.example.com")
/// .dpop(prover)
/// .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DpopProver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    key: DpopKey,
    /// Of the servers that take tokens; the authorization server gives other ones, even from the same origin.
    api: Nonces,
}

impl DpopProver {
    /// A prover that signs with this key, and knows no nonces yet.
    #[must_use]
    pub fn new(key: DpopKey) -> Self {
        Self(Arc::new(Shared {
            key,
            api: Nonces::default(),
        }))
    }

    /// The key, whose thumbprint an authorization server may want to know.
    #[must_use]
    pub fn key(&self) -> &DpopKey {
        &self.0.key
    }

    /// A proof for one attempt that carries this token, marked sensitive.
    pub(crate) fn prove(
        &self,
        token: &Token,
        method: &Method,
        url: &str,
        now: SystemTime,
    ) -> Result<HeaderValue, Error> {
        if !token.is_dpop() {
            return Err(Error::malformed(
                "the session proves possession of a key (DPoP), but the token is not bound to one; \
                 ask the issuer for a token of the type `DPoP`, and give it that scheme",
            ));
        }
        let target = Target::of(url)?;
        let nonce = self.0.api.newest(&target.origin);
        let claims = Claims::new(method, &target, now, nonce.as_deref())?.bound_to(token.expose());
        claims.signed_with(&self.0.key)
    }

    /// Takes note of the nonce that an answer from this URL may have brought.
    pub(crate) fn learn(&self, url: &str, status: StatusCode, headers: &HeaderMap) {
        learn(&self.0.api, url, status, headers);
    }
}

/// The field that carries the proof (RFC 9449 §4.1).
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");

fn learn(nonces: &Nonces, url: &str, status: StatusCode, headers: &HeaderMap) {
    let Some(nonce) = nonces::of(headers, &DPOP_NONCE) else {
        return;
    };
    let Ok(target) = Target::of(url) else {
        return;
    };
    let told = match status {
        StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => Told::Demanded,
        _ => Told::Beside,
    };
    nonces.learn(target.origin, nonce, told);
}
