//! The TLS settings of an upstream.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::error::{Error, tls_not_set_up};
use crate::origin::ca_file::{Authorities, ClientIdentity, TlsClient};

/// What the connections of a route trust and present. The system's authorities are trusted unless others are given.
#[derive(Default)]
pub(super) struct UpstreamTls {
    authorities: Option<Vec<CertificateDer<'static>>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl TlsClient for UpstreamTls {
    fn trust_only(mut self, authorities: &Authorities) -> Self {
        self.authorities = Some(authorities.der.clone());
        self
    }

    fn present(mut self, identity: &ClientIdentity) -> Self {
        self.identity = Some(Arc::clone(&identity.certified));
        self
    }
}

impl UpstreamTls {
    /// For an upstream without TLS. The system's authorities need not be read.
    pub(super) fn unused() -> Self {
        Self {
            authorities: Some(Vec::new()),
            identity: None,
        }
    }

    pub(super) fn into_config(self) -> Result<ClientConfig, Error> {
        let unusable = |cause: rustls::Error| {
            tls_not_set_up(
                Error::input(
                    "TLS cannot be set up with the certificate authorities of this machine",
                ),
                cause,
            )
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match self.authorities {
            None => builder.with_platform_verifier().map_err(unusable)?,
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority).map_err(unusable)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        Ok(match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
        })
    }
}
