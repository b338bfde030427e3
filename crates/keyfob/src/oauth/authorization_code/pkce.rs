//! What binds a sign-in to the program that began it: random text, and the proof of RFC 7636.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::token::secret::Secret;

/// Text that nobody can guess, of 256 bits: as a `code_verifier` (RFC 7636 §4.1) and as a `state`.
pub(crate) fn random_text() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .map_err(|_| Error::unavailable("the system gives no random numbers"))?;
    Secret::new(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The `code_challenge` of a verifier, by the method S256 (RFC 7636 §4.2).
pub(crate) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

/// The only method that is used: `plain` shows the verifier to whoever sees the URL.
pub(crate) const METHOD: &str = "S256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            challenge(&Secret::new(verifier.to_owned()).unwrap()),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_verifier_has_43_characters_that_need_no_encoding_and_is_new_each_time() {
        let (one, other) = (random_text().unwrap(), random_text().unwrap());
        assert_eq!(one.expose().len(), 43);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(one.expose().bytes().all(unreserved));
        assert!(!one.same_as(&other));
    }
}
