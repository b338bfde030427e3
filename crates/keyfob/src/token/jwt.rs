//! Reads when a JWT expires.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::token::json::FromObject;

/// Returns the `exp` claim of a JWT in compact form (RFC 7515 §7.1), or `None` if the text is not such a JWT.
///
/// The signature is not verified, so the result is a hint and proves nothing (T5).
pub(super) fn expiry(text: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }

    let mut parts = text.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let FromObject(Claims { exp }) = serde_json::from_slice(&claims).ok()?;
    // RFC 7519 §2: a NumericDate may have a fraction.
    let since_epoch = Duration::try_from_secs_f64(exp).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!(
            "eyJhbGciOiJub25lIn0.{}.c2ln",
            URL_SAFE_NO_PAD.encode(claims)
        )
    }

    #[test]
    fn t5_the_exp_claim_of_a_jwt_is_read() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        assert_eq!(expiry(&jwt(r#"{"exp":1893456000}"#)), Some(expected));
    }

    #[test]
    fn text_that_is_not_a_jwt_has_no_expiry() {
        for text in [
            "opaque".to_owned(),
            "a.b.c".to_owned(),
            jwt("[]"),
            jwt(r#"{"exp":"soon"}"#),
            jwt(r#"{"exp":-5}"#),
            jwt(r#"{"exp":1e300}"#),
            format!("{}.d.e", jwt(r#"{"exp":1893456000}"#)),
        ] {
            assert_eq!(expiry(&text), None, "{text}");
        }
    }
}
