//! Opens the TLS connection of a program with a certificate of the run's authority.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::AlertDescription;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use url::Host;

/// Why a connection could not be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TlsFailure {
    /// The program does not trust the authority, as it said itself.
    Distrusted,
    /// The program asked for another server than its CONNECT.
    OtherHost,
    Other,
}

/// Plays the server of this host.
pub(super) async fn accept<S>(
    stream: S,
    host: &Host<String>,
    certificate: Arc<CertifiedKey>,
) -> Result<TlsStream<S>, TlsFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let resolver = Arc::new(OnlyFor {
        host: host.clone(),
        certificate,
        other: AtomicBool::new(false),
    });
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the suites of both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&resolver) as _);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => Ok(stream),
        _ if resolver.other.load(Ordering::Relaxed) => Err(TlsFailure::OtherHost),
        Ok(Err(error)) if is_distrust(&error) => Err(TlsFailure::Distrusted),
        _ => Err(TlsFailure::Other),
    }
}

/// Has a certificate only for clients that ask for this host, or for none.
#[derive(Debug)]
struct OnlyFor {
    host: Host<String>,
    certificate: Arc<CertifiedKey>,
    other: AtomicBool,
}

impl ResolvesServerCert for OnlyFor {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A name that is an address is not sent (RFC 6066 §3).
        let is_other = hello.server_name().is_some_and(
            |name| !matches!(&self.host, Host::Domain(own) if own.eq_ignore_ascii_case(name)),
        );
        self.other.store(is_other, Ordering::Relaxed);
        (!is_other).then(|| Arc::clone(&self.certificate))
    }
}

fn is_distrust(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(rustls::Error::AlertReceived(alert)) = cause else {
        return false;
    };
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
    )
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
