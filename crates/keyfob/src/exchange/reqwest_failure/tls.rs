//! What a failed TLS handshake means, in words that say what to do.

use std::error::Error as StdError;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

use crate::error::error::causes;
use crate::error::kind::FailedStep;
use crate::error::printable::printable;

/// Why the handshake failed for a lasting reason, if this error or one of its causes says so.
pub(crate) fn reason(error: &(dyn StdError + 'static)) -> Option<String> {
    let error = tls_error(error)?;
    Some(match error {
        TlsError::InvalidCertificate(error) => certificate(error),
        TlsError::AlertReceived(received) => alert(*received),
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS; if it speaks plain http, its URL begins with `http://`"
                .to_owned()
        }
        TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => VERSION.to_owned(),
        TlsError::PeerIncompatible(_) => {
            "the server and keyfob have no cipher of TLS in common; update the server".to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    })
}

/// Why a connection failed after the handshake, if this error or one of its causes is one of TLS.
///
/// In TLS 1.3 the server may demand a certificate after the handshake of the client, but not after the head of a response.
pub(crate) fn reason_after_handshake(error: &reqwest::Error) -> Option<String> {
    let received = match tls_error(error)? {
        TlsError::AlertReceived(received) => *received,
        other => return Some(format!("the TLS connection failed: {other}")),
    };
    let alert = in_words(&format!("{received:?}"));
    let ended = format!("the server ended the TLS connection with the alert \"{alert}\"");
    Some(match refusal(received) {
        Some(_) if error.is_request() => {
            format!("{ended}; if it demands a client certificate, name one: {CLIENT_CERTIFICATE}")
        }
        _ => ended,
    })
}

/// Why a handshake with a proxy before the server failed.
pub(crate) fn reason_of_proxy(error: &(dyn StdError + 'static)) -> Option<String> {
    Some(reason(error)?.replace("the server", "the proxy"))
}

/// Whether the server refused the client's certificate, or the lack of one, so that it has not processed the request.
///
/// In TLS 1.3 the client may have sent the request by then (RFC 8446 §4.4.2.4): the server reads it only after it has accepted
/// the certificate.
pub(crate) fn is_about_client_certificate(error: &(dyn StdError + 'static)) -> bool {
    let is_refusal = |received| refusal(received).is_some();
    demands_client_certificate(error) || received_alert(error).is_some_and(is_refusal)
}

/// Whether the server refused the lack of a certificate, so that it has not processed the request.
pub(crate) fn demands_client_certificate(error: &(dyn StdError + 'static)) -> bool {
    received_alert(error) == Some(AlertDescription::CertificateRequired)
}

/// What failed, if it is TLS.
pub(crate) fn failed_step(error: &(dyn StdError + 'static)) -> Option<FailedStep> {
    Some(match tls_error(error)? {
        TlsError::InvalidCertificate(_) => FailedStep::Certificate,
        _ => FailedStep::Handshake,
    })
}

fn received_alert(error: &(dyn StdError + 'static)) -> Option<AlertDescription> {
    match tls_error(error)? {
        TlsError::AlertReceived(received) => Some(*received),
        _ => None,
    }
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    causes(error).find_map(|cause| cause.downcast_ref::<TlsError>())
}

/// What the server says about the handshake (RFC 8446 §6.2).
fn alert(received: AlertDescription) -> String {
    use AlertDescription as Alert;
    if let Some(problem) = refusal(received) {
        return format!(
            "the server does not accept the client certificate: {problem}; if none was given, name one: {CLIENT_CERTIFICATE}"
        );
    }
    match received {
        Alert::CertificateRequired => {
            format!("the server demands a client certificate; name one: {CLIENT_CERTIFICATE}")
        }
        Alert::HandshakeFailure => format!(
            "the server refused the TLS handshake: it demands a client certificate ({CLIENT_CERTIFICATE}), or has no cipher in \
             common with keyfob"
        ),
        Alert::ProtocolVersion => VERSION.to_owned(),
        Alert::UnrecognisedName => {
            "the server has no certificate for this host name; use the name that it was issued for"
                .to_owned()
        }
        other => format!(
            "the server ended the TLS handshake with the alert \"{}\"",
            in_words(&format!("{other:?}"))
        ),
    }
}

/// The name of an alert as RFC 8446 writes it, without underscores: `BadRecordMac` is "bad record mac".
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// Why the server does not accept the client's certificate, if the alert says so.
fn refusal(received: AlertDescription) -> Option<&'static str> {
    use AlertDescription as Alert;
    Some(match received {
        Alert::CertificateExpired => "it has expired, or is not valid yet by the server's clock",
        Alert::CertificateRevoked => "it was revoked",
        Alert::UnknownCA => {
            "it comes from an authority that the server does not trust, or the certificates between are missing"
        }
        Alert::UnsupportedCertificate => {
            "it is of a kind that the server does not support, or not for clients"
        }
        Alert::BadCertificate | Alert::CertificateUnknown => "the server does not say why",
        Alert::AccessDenied => "the server knows it and denies access",
        Alert::DecryptError => "the server cannot verify its signature",
        _ => return None,
    })
}

/// The fault of the server's certificate, in words.
fn certificate(error: &CertificateError) -> String {
    let problem = match error {
        CertificateError::UnknownIssuer => {
            return format!(
                "the certificate of the server comes from an authority that is not trusted, or is self-signed; if it is yours, \
                 name the file with its certificate: {CA_FILE}"
            );
        }
        CertificateError::Expired => {
            "has expired; renew it, and check the clock of this machine".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "has expired at {}; renew it, and check the clock of this machine",
            shown(*not_after)
        ),
        CertificateError::NotValidYet => {
            "is not valid yet; check the clock of this machine".to_owned()
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "is not valid before {}; check the clock of this machine",
            shown(*not_before)
        ),
        CertificateError::NotValidForName => {
            "is for another host; use the name that it was issued for".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => other_host(&expected.to_str(), presented),
        CertificateError::BadSignature => {
            "has not been signed by the trusted authority of that name; if the authority has a new key, its new certificate \
             belongs in the CA file"
                .to_owned()
        }
        CertificateError::Revoked => "was revoked; it has to be replaced".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers; it needs the purpose `serverAuth`".to_owned()
        }
        // Its own text is that of a debugger.
        CertificateError::Other(other) if other.0.to_string().starts_with("CaUsedAsEndEntity") => {
            "is that of an authority; give the server one with `CA:FALSE`, which an authority may sign or the server itself"
                .to_owned()
        }
        CertificateError::Other(other) => format!("cannot be verified: {}", other.0),
        other => format!("cannot be verified: {other}"),
    };
    format!("the certificate of the server {problem}")
}

fn other_host(expected: &str, presented: &[String]) -> String {
    // A server may write many and odd names.
    let names = presented.iter().take(MAX_NAMES);
    let names: Vec<_> = names.map(|name| printable(bare(name))).collect();
    let more = match presented.len() > MAX_NAMES {
        true => " and others",
        false => "",
    };
    match names.is_empty() {
        true => format!("names no host, and {expected} was asked for; give it a subjectAltName"),
        false => format!(
            "is not for {expected} but for {}{more}; use a name that it was issued for",
            names.join(", ")
        ),
    }
}

/// A name without its kind: `DnsName("a.example")`, `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

/// A time in UTC.
fn shown(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an odd time".to_owned(), |time| time.to_string())
}

const CA_FILE: &str =
    "`ca_file` in a profile or a builder, `--cacert`, `verify` in Python, or SSL_CERT_FILE";
const CLIENT_CERTIFICATE: &str =
    "`client_certificate` in a profile or a builder, `--cert`, or `cert` in Python";
const VERSION: &str = "the server and keyfob have no version of TLS in common; keyfob speaks 1.2 and 1.3, so update the server";
const MAX_NAMES: usize = 5;

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
    fn an_alert_is_named_in_words() {
        let text = reason_of(TlsError::AlertReceived(AlertDescription::BadRecordMac));
        assert!(text.ends_with("the alert \"bad record mac\""), "{text}");
    }

    #[test]
    fn a_certificate_error_is_told_in_words() {
        let other = OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity")));
        for (error, words) in [
            (
                CertificateError::UnknownIssuer,
                "not trusted, or is self-signed",
            ),
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidForName, "for another host"),
            (
                CertificateError::Other(other),
                "give the server one with `CA:FALSE`",
            ),
            (CertificateError::BadSignature, "new certificate belongs"),
            (CertificateError::Revoked, "was revoked"),
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
