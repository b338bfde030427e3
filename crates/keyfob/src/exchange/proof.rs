//! Proof of possession: how a client shows that it holds the key that a token is bound to.

use std::fmt;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::error::error::Error;
use crate::token::token::Token;

/// Makes the proof of possession that each attempt carries (DPoP, RFC 9449).
///
/// `DpopProver` in module `oauth` implements it. Implement it yourself if the key is held elsewhere, for example in a
/// hardware module. Methods may be called from any thread, and many times at once. None of them may wait for long.
///
/// ```
/// use std::time::SystemTime;
///
/// use http::{HeaderMap, HeaderValue, Method, StatusCode};
/// use keyfob::exchange::RequestProof;
/// use keyfob::{Error, Token};
///
/// #[derive(Debug)]
/// struct HardwareKey;
///
/// # impl HardwareKey { fn sign(&self, _: &Token, _: &Method, _: &str, _: SystemTime) -> Option<String> { None } }
/// impl RequestProof for HardwareKey {
///     fn check(&self, token: &Token) -> Result<(), Error> {
///         if token.is_dpop() {
///             return Ok(());
///         }
///         Err(Error::unavailable("the token is not bound to a key"))
///     }
///
///     fn prove(&self, token: &Token, method: &Method, url: &str, now: SystemTime) -> Result<HeaderValue, Error> {
///         let proof = self.sign(token, method, url, now);
///         let proof = proof.ok_or_else(|| Error::unavailable("the hardware module does not sign"))?;
///         let mut value = HeaderValue::try_from(proof).map_err(|_| Error::unavailable("the proof is no header value"))?;
///         value.set_sensitive(true);
///         Ok(value)
///     }
///
///     fn record_nonce(&self, _url: &str, _status: StatusCode, _headers: &HeaderMap) {}
/// }
/// ```
pub trait RequestProof: fmt::Debug + Send + Sync {
    /// Checks that a token can be sent with a proof.
    ///
    /// # Errors
    ///
    /// An error if the token is not bound to a key. The request is then not sent (R2).
    fn check(&self, token: &Token) -> Result<(), Error>;

    /// Makes the proof for one attempt, as the sensitive value of the [`DPOP`] header field.
    ///
    /// `url` is absolute. `now` is the wall time of the token cache's clock.
    ///
    /// # Errors
    ///
    /// An error if the token is not bound to a key, or if the key cannot sign. The request is then not sent (R2).
    fn prove(
        &self,
        token: &Token,
        method: &Method,
        url: &str,
        now: SystemTime,
    ) -> Result<HeaderValue, Error>;

    /// Records the nonce that a response from this URL provides for later proofs (RFC 9449 §8.2, §9).
    fn record_nonce(&self, url: &str, status: StatusCode, headers: &HeaderMap);
}

/// The header field that carries the proof (RFC 9449 §4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The header field of a response that provides a nonce for later proofs (RFC 9449 §8.2).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
