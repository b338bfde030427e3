//! The certificate authorities that a client trusts in place of the system's.

use crate::error::error::{Error, tls_not_set_up};
#[cfg(feature = "rustls")]
pub(crate) use authorities::{
    Authorities, ClientIdentity, TlsClient, read_authorities, trust_file,
};

/// Changes the settings of a client, so that it trusts other certificate authorities than the system's.
pub(crate) type Trust<C> = Box<dyn Fn(C) -> C + Send + Sync>;

/// The error for a client that could not be made. It names the file of `SSL_CERT_FILE`, if that is the reason.
pub(crate) fn client_not_made(cause: reqwest::Error) -> Error {
    #[cfg(feature = "rustls")]
    if let Some(path) = std::env::var_os("SSL_CERT_FILE")
        && let Err(error) = trust_file::<reqwest::ClientBuilder>(path.as_ref())
    {
        return Error::input(format!(
            "{error}; the environment variable SSL_CERT_FILE names it"
        ));
    }
    tls_not_set_up(
        Error::input("the HTTP client cannot be made with these settings"),
        cause,
    )
}

/// What needs the client to have TLS.
#[cfg(feature = "rustls")]
mod authorities {
    use std::path::Path;
    use std::sync::Arc;

    use reqwest::{Certificate, Identity};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::sign::CertifiedKey;
    use zeroize::Zeroizing;

    use super::Trust;
    use crate::error::error::{Error, ErrorKind};
    use crate::token::secret_file::{FileUse, SecretFile};

    /// The text of a file with certificates of authorities. Whoever can change it can pose as any server.
    pub(crate) fn read_authorities(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        let file = SecretFile::new(path, FileUse::Authorities);
        let text = file.read_bytes();
        text.map_err(|fault| fault.into_error(ErrorKind::Input, "the CA file"))
    }

    /// Trusts the authorities in a file in PEM, and no others. The error names the file.
    ///
    /// They replace those of the system, as with `--cacert` of curl and `verify` of Python's `requests`: if a program names its
    /// authority, no other one is meant to vouch for the server.
    pub(crate) fn trust_file<C: TlsClient>(path: &Path) -> Result<Trust<C>, Error> {
        let unusable =
            |problem: &str| Error::input(format!("the CA file {} {problem}", path.display()));
        let text = read_authorities(path)?;
        let text = text.as_slice();
        let certificates = Certificate::from_pem_bundle(text)
            .map_err(|_| unusable("is not in PEM; export the certificates as text"))?;
        if certificates.is_empty() {
            return Err(unusable(
                "has no certificate; it must have that of your authority, which begins with `-----BEGIN CERTIFICATE-----`",
            ));
        }
        // The certificates are parsed only when a client is made, and that error would not name the file.
        let client = reqwest::Client::builder().tls_certs_only(certificates.clone());
        client
            .build()
            .map_err(|_| unusable("has a certificate that cannot be read; export it again"))?;
        let der = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>();
        let authorities = Authorities {
            certificates,
            der: der.map_err(|_| unusable("is not in PEM; export the certificates as text"))?,
        };
        Ok(Box::new(move |client: C| client.trust_only(&authorities)))
    }

    /// The certificates of authorities, for `reqwest` and for `rustls`.
    pub struct Authorities {
        certificates: Vec<Certificate>,
        pub(crate) der: Vec<CertificateDer<'static>>,
    }

    /// A client's certificate with its key, for `reqwest` and for `rustls`.
    pub struct ClientIdentity {
        pub(crate) identity: Identity,
        pub(crate) certified: Arc<CertifiedKey>,
    }

    /// The settings of a client that is being built.
    pub trait TlsClient {
        /// Trusts these authorities and no others.
        fn trust_only(self, authorities: &Authorities) -> Self;

        /// Presents this certificate to servers that ask for one.
        fn present(self, identity: &ClientIdentity) -> Self;
    }

    impl TlsClient for reqwest::ClientBuilder {
        fn trust_only(self, authorities: &Authorities) -> Self {
            self.tls_certs_only(authorities.certificates.clone())
        }

        fn present(self, client: &ClientIdentity) -> Self {
            self.identity(client.identity.clone())
        }
    }

    #[cfg(feature = "blocking")]
    impl TlsClient for reqwest::blocking::ClientBuilder {
        fn trust_only(self, authorities: &Authorities) -> Self {
            self.tls_certs_only(authorities.certificates.clone())
        }

        fn present(self, client: &ClientIdentity) -> Self {
            self.identity(client.identity.clone())
        }
    }
}
