//! PKCE, which binds the authorization code to the program that started the sign-in (RFC 7636).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::token::secret::Secret;

/// 256 random bits as text, for a `code_verifier` (RFC 7636 §4.1) and for a `state`.
pub(crate) fn random_text() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .map_err(|_| Error::unavailable("the system gave no random numbers for a sign-in"))?;
    Secret::new(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The `code_challenge` for a verifier, with the method S256 (RFC 7636 §4.2).
pub(crate) fn code_challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()))
}

/// The only supported method: `plain` would show the verifier to everyone who sees the URL.
pub(crate) const METHOD: &str = "S256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            code_challenge(&Secret::new(verifier.to_owned()).unwrap()),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_verifier_has_43_unreserved_characters_and_is_new_each_time() {
        let (one, other) = (random_text().unwrap(), random_text().unwrap());
        assert_eq!(one.expose().len(), 43);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(one.expose().bytes().all(unreserved));
        assert!(!one.same_as(&other));
    }
}
