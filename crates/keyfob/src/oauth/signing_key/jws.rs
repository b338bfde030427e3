//! A signed JSON Web Token in compact form (RFC 7515 §7.1).

use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// Joins a JOSE header, which is encoded already, and claims, and adds the signature of both.
pub(crate) fn compact(
    jose_header: &str,
    claims: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unspecified>,
) -> Result<Zeroizing<String>, Unspecified> {
    // Enough for all parts: a text that grows leaves a copy of itself behind.
    let length = jose_header.len() + claims.len() * 4 / 3 + LONGEST_SIGNATURE;
    let mut jwt = Zeroizing::new(String::with_capacity(length));
    jwt.push_str(jose_header);
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
    let signature = sign(jwt.as_bytes())?;
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
    Ok(jwt)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 128 random bits for a `jti`. RFC 9449 §4.2 asks for at least 96.
pub(crate) fn random_id() -> Result<String, Error> {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits)
        .map_err(|_| Error::unavailable("the system gave no random numbers for a signed token"))?;
    Ok(encode(&bits))
}

/// Of an RSA key of 8192 bits, in base64url, with the dots.
const LONGEST_SIGNATURE: usize = 1400;
