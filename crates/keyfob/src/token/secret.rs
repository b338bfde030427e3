//! Text that is never shown and is wiped from memory when its last owner goes.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// A secret's text, checked once to fit in an HTTP field value.
///
/// Clones share one buffer; the buffer is overwritten with zeros when the last clone goes. `Debug` shows no part of it.
#[derive(Clone)]
pub(crate) struct Secret(Bytes);

impl Secret {
    /// Takes text over and checks that a header may carry it.
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
                "the token has {} at byte {at}, which no HTTP header may carry; \
                 give the token alone, without quotes, line ends or a scheme such as \"Bearer\"",
                describe(text[at]),
            )));
        }
        Ok(Self(Bytes::from_owner(text)))
    }

    /// Takes over the value of a whole field, which may have spaces inside (RFC 9110 §5.5).
    pub(crate) fn new_field(text: String) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into_bytes());
        let spaced = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        if text.is_empty() || !text.iter().all(spaced) {
            return Err(Error::malformed(
                "a header of the credential is empty or has a character that no HTTP header may carry",
            ));
        }
        Ok(Self(Bytes::from_owner(text)))
    }

    /// The text itself. Each call is a place where the secret leaves its type.
    pub(crate) fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked to be ASCII when it was made")
    }

    /// Whether two secrets are the same text, in time that does not depend on where they differ.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The field value `scheme text`, marked sensitive so that HTTP libraries neither log nor index it.
    pub(crate) fn header_value(&self, scheme: Option<&str>) -> HeaderValue {
        let scheme = scheme.unwrap_or_default();
        let mut line = Line(Zeroizing::new(Vec::with_capacity(
            scheme.len() + 1 + self.0.len(),
        )));
        line.0.extend_from_slice(scheme.as_bytes());
        if !scheme.is_empty() {
            line.0.push(b' ');
        }
        line.0.extend_from_slice(&self.0);
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(line))
            .expect("scheme and secret were checked to be visible ASCII");
        value.set_sensitive(true);
        value
    }
}

/// The text of a field value.
///
/// So aligned that the count of its clones has memory of its own, to the two lines that processors fetch at once: where two
/// threads count in neighbouring memory, each waits for the other.
#[repr(align(128))]
struct Line(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Line {
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
    fn s3_the_header_is_sensitive_and_whole() {
        let secret = Secret::new("abc".into()).unwrap();
        let value = secret.header_value(Some("Bearer"));
        assert_eq!(value.as_bytes(), b"Bearer abc");
        assert!(value.is_sensitive());
        assert_eq!(secret.header_value(None).as_bytes(), b"abc");
    }

    #[test]
    fn text_that_no_header_carries_is_refused_without_being_quoted() {
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
    fn secrets_compare_by_text() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        assert!(secret("abc").same_as(&secret("abc")));
        assert!(!secret("abc").same_as(&secret("abd")));
        assert!(!secret("abc").same_as(&secret("abcd")));
    }
}
