//! What a failed TLS handshake means, in words that say what to do.

use std::error::Error as StdError;

use rustls::{CertificateError, Error as TlsError};

use crate::error::error::causes;

/// Why the handshake failed for a lasting reason, if this error or one of its causes says so.
pub(crate) fn reason(error: &(dyn StdError + 'static)) -> Option<String> {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<TlsError>())?;
    Some(match error {
        TlsError::InvalidCertificate(error) => certificate(error),
        TlsError::AlertReceived(alert) => {
            format!("the server ended the TLS handshake with the alert {alert:?}")
        }
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS; if it speaks plain http, its URL begins with `http://`"
                .to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    })
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "the certificate of the server comes from an authority that is not trusted; \
             if it is yours, name the file with its certificate: `ca_file` in a profile or a builder, `--cacert`, \
             `verify` in Python, or SSL_CERT_FILE"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of the server has expired; renew it, and check the clock of this machine".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate of the server is not valid yet; check the clock of this machine".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate of the server is for another host; use the name that it was issued for".to_owned()
        }
        CertificateError::BadSignature => "the certificate of the server has not been signed by the trusted authority of that name; \
             if the authority has a new key, its new certificate belongs in the CA file"
            .to_owned(),
        // Its own text is that of a debugger.
        CertificateError::Other(other) => {
            format!("the certificate of the server cannot be verified: {}", other.0)
        }
        other => format!("the certificate of the server cannot be verified: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    fn reason_of(error: TlsError) -> String {
        reason(&io::Error::new(io::ErrorKind::InvalidData, error)).unwrap()
    }

    #[test]
    fn a_certificate_error_is_told_in_words() {
        let other = OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity")));
        for (error, words) in [
            (
                CertificateError::UnknownIssuer,
                "not trusted; if it is yours",
            ),
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidForName, "for another host"),
            (
                CertificateError::Other(other),
                "verified: CaUsedAsEndEntity",
            ),
            (CertificateError::BadSignature, "new certificate belongs"),
            (CertificateError::Revoked, "cannot be verified"),
        ] {
            let reason = reason_of(TlsError::InvalidCertificate(error));
            assert!(reason.contains(words), "{reason}");
            assert!(!reason.contains("Other"), "{reason}");
        }
    }

    #[test]
    fn another_failure_of_the_handshake_is_told_too() {
        let not_tls = TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(reason_of(not_tls).contains("does not speak TLS"));
        assert!(reason_of(TlsError::DecryptError).starts_with("the TLS handshake failed: "));
        assert!(reason(&io::Error::other("no TLS")).is_none());
    }
}
