//! Secret text that is never shown, and is overwritten in memory when its last clone is dropped.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// A secret text that has been checked to fit in an HTTP header.
///
/// Clones share one buffer. `Debug` shows no part of it.
#[derive(Clone)]
pub(crate) struct Secret(Bytes);

impl Secret {
    /// Checks and takes a token's text.
    ///
    /// RFC 6750 §2.1 allows fewer characters, but real issuers use any visible ASCII.
    pub(crate) fn new(text: String) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into_bytes());
        if text.is_empty() {
            return Err(Error::malformed(
                "the token is empty; give the token that the issuer returned",
            ));
        }
        if let Some(at) = text.iter().position(|byte| !byte.is_ascii_graphic()) {
            return Err(Error::malformed(format!(
                "the token has {} at byte {at}, which an HTTP header must not contain; \
                 give the token alone, without quotes, line ends or a scheme such as \"Bearer\"",
                describe(text[at]),
            )));
        }
        Ok(Self(Bytes::from_owner(text)))
    }

    /// Checks and takes the whole value of a header field, which may contain spaces (RFC 9110 §5.5).
    pub(crate) fn new_field(text: String) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into_bytes());
        let spaced = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        if text.is_empty() || !text.iter().all(spaced) {
            return Err(Error::malformed(
                "a header of the credential is empty or has a character that an HTTP header must not contain",
            ));
        }
        Ok(Self(Bytes::from_owner(text)))
    }

    /// Returns the text. With each call a secret leaves its type, so keep these calls few.
    pub(crate) fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked to be ASCII when it was made")
    }

    /// Whether two secrets are the same text, in time that does not depend on where they differ.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Returns the header value `scheme text`, marked sensitive so that HTTP libraries neither log nor index it.
    pub(crate) fn header_value(&self, scheme: Option<&str>) -> HeaderValue {
        let text = ValueText(self.after_scheme(scheme));
        sensitive(Bytes::from_owner(text))
    }

    /// Returns the same header value, and the same secret, which is a part of its text.
    pub(crate) fn sharing_header_value(&self, scheme: Option<&str>) -> (Self, HeaderValue) {
        let text = Bytes::from_owner(self.after_scheme(scheme));
        let secret = text.slice(text.len() - self.0.len()..);
        (Self(secret), sensitive(text))
    }

    fn after_scheme(&self, scheme: Option<&str>) -> Zeroizing<Vec<u8>> {
        let scheme = scheme.unwrap_or_default();
        // The full capacity at once, because growing would leave a copy of the secret behind.
        let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + 1 + self.0.len()));
        text.extend_from_slice(scheme.as_bytes());
        if !scheme.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(&self.0);
        text
    }
}

fn sensitive(text: Bytes) -> HeaderValue {
    let mut value = HeaderValue::from_maybe_shared(text)
        .expect("scheme and secret were checked to be visible ASCII");
    value.set_sensitive(true);
    value
}

/// The text of a header value.
///
/// 128-byte aligned, so that its reference count shares no cache line with that of another value. Processors fetch two
/// lines of 64 bytes at once, and two threads that write to one of them slow each other down.
#[repr(align(128))]
struct ValueText(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for ValueText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn describe(byte: u8) -> &'static str {
    match byte {
        b'\r' | b'\n' => "a line end",
        b' ' | b'\t' => "white space",
        0x80.. => "a character outside ASCII",
        _ => "a control character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_debug_shows_nothing() {
        let secret = Secret::new("s3cr3t".into()).unwrap();
        assert_eq!(format!("{secret:?}"), "[secret]");
    }

    #[test]
    fn s3_the_header_value_is_whole_and_marked_sensitive() {
        let secret = Secret::new("abc".into()).unwrap();
        let value = secret.header_value(Some("Bearer"));
        assert_eq!(value.as_bytes(), b"Bearer abc");
        assert!(value.is_sensitive());
        assert_eq!(secret.header_value(None).as_bytes(), b"abc");
    }

    #[test]
    fn a_secret_that_shares_the_text_of_its_header_value_is_the_same() {
        let secret = Secret::new("abc".into()).unwrap();
        let (shared, value) = secret.sharing_header_value(Some("Bearer"));
        assert!(shared.same_as(&secret) && value == "Bearer abc" && value.is_sensitive());
        let (shared, value) = secret.sharing_header_value(None);
        assert!(shared.same_as(&secret) && value == "abc");
    }

    #[test]
    fn text_that_does_not_fit_in_a_header_is_refused_and_not_quoted() {
        for (text, word) in [
            ("", "empty"),
            ("SECRET\r\nX-Evil: 1", "line end"),
            ("Bearer SECRET", "white space"),
            ("SECRETé", "outside ASCII"),
            ("SECRET\0", "control"),
        ] {
            let error = Secret::new(text.into()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn secrets_are_compared_by_their_text() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        assert!(secret("abc").same_as(&secret("abc")));
        assert!(!secret("abc").same_as(&secret("abd")));
        assert!(!secret("abc").same_as(&secret("abcd")));
    }
}
