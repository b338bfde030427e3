//! The URL of a database, and how its server proves who it is.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::error::{Error, tls_not_set_up};
use crate::store::postgres::hosts;
use crate::store::postgres::tls::Tls;

/// Where a database is, and how its server proves who it is.
#[derive(Clone)]
pub(super) struct Address {
    /// One for each host.
    pub(super) hosts: Vec<Config>,
    /// `None` without TLS.
    pub(super) tls: Option<Tls>,
}

impl Address {
    /// Reads a URL. Without authorities, the roots of the system are trusted.
    pub(super) fn parse(url: &str, authorities: Option<&[u8]>) -> Result<Self, Error> {
        let (url, mode) = without_ssl_mode(url)?;
        let scheme = ["postgres://", "postgresql://"];
        if !scheme.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(unusable());
        }
        // The error of the client is not passed on, because it may quote the password in the URL.
        let mut config: Config = url.parse().map_err(|_| unusable())?;
        let hosts = config.get_hosts().len();
        let (ports, addresses) = (config.get_ports().len(), config.get_hostaddrs().len());
        if hosts == 0 || ![0, 1, hosts].contains(&ports) || ![0, hosts].contains(&addresses) {
            return Err(unusable());
        }
        if config.get_application_name().is_none() {
            config.application_name("keyfob");
        }
        let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
        let uses_tls = match mode {
            Some(mode) => mode == SslMode::Require,
            None => !config.get_hosts().iter().all(is_socket),
        };
        let (ssl_mode, tls) = match uses_tls {
            true => (
                SslMode::Require,
                Some(Tls::new(client_config(authorities)?)),
            ),
            false => (SslMode::Disable, None),
        };
        config.ssl_mode(ssl_mode);
        let hosts = hosts::one_by_one(&config);
        Ok(Self { hosts, tls })
    }
}

/// The URL without the parameter `sslmode`, and what it says.
///
/// The client reads `prefer` as most do: without TLS if the server has none. An attacker in between could make use of that.
fn without_ssl_mode(url: &str) -> Result<(String, Option<SslMode>), Error> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let mut mode = None;
    let mut others = Vec::new();
    for parameter in query.split('&') {
        if parameter.starts_with("sslrootcert=") {
            return Err(Error::input(
                "the URL of the token store has the parameter `sslrootcert`, which keyfob does not read; name the file in \
                 `ca_file` of the store, or leave both out to trust the roots of the system",
            ));
        }
        match parameter.strip_prefix("sslmode=") {
            None => others.push(parameter),
            Some("disable") => mode = Some(SslMode::Disable),
            // The certificate and its name are always checked.
            Some("require" | "verify-ca" | "verify-full") => mode = Some(SslMode::Require),
            Some(_) => {
                return Err(Error::input(
                    "the URL of the token store has an `sslmode` that may send tokens without TLS or is unknown; use \
                     `require`, or `disable` in a network that you trust",
                ));
            }
        }
    }
    Ok((format!("{base}?{}", others.join("&")), mode))
}

fn client_config(authorities: Option<&[u8]>) -> Result<ClientConfig, Error> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let no_tls = |cause: rustls::Error| {
        tls_not_set_up(
            Error::input("TLS to the token store cannot be set up"),
            cause,
        )
    };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(no_tls)?;
    let builder = match authorities {
        Some(authorities) => builder.with_root_certificates(roots(authorities)?),
        None => builder.with_platform_verifier().map_err(no_tls)?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(authorities: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(|_| no_certificate())?;
        roots.add(certificate).map_err(|_| no_certificate())?;
    }
    match roots.is_empty() {
        true => Err(no_certificate()),
        false => Ok(roots),
    }
}

fn no_certificate() -> Error {
    Error::input("the CA file of the token store has no certificate in PEM that can be used")
}

fn unusable() -> Error {
    Error::input(
        "the URL of the token store cannot be used; give one as `postgres://user:password@host:port/database`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Address::parse(url, None).unwrap().hosts[0].get_ssl_mode()
    }

    #[test]
    fn s2_tls_is_required_unless_the_url_says_otherwise() {
        assert_eq!(mode("postgres://u:p@db.example.com/d"), SslMode::Require);
        assert_eq!(mode("postgresql://db.example.com"), SslMode::Require);
        for checked in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://u@h/d?connect_timeout=3&sslmode={checked}");
            assert_eq!(mode(&url), SslMode::Require);
        }
        assert_eq!(mode("postgres://u@h/d?sslmode=disable"), SslMode::Disable);
        let socket = "postgres://u@%2Fvar%2Frun%2Fpostgresql/d";
        assert_eq!(mode(socket), SslMode::Disable);
    }

    #[test]
    fn s2_an_ssl_mode_that_may_fall_back_to_plain_text_is_refused() {
        for unsafe_mode in ["prefer", "allow", "Require", ""] {
            let url = format!("postgres://u:s3cr3t@h/d?sslmode={unsafe_mode}");
            let error = Address::parse(&url, None).err().unwrap();
            assert!(error.to_string().contains("sslmode"), "{error}");
            assert!(!format!("{error:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn the_error_about_sslrootcert_names_the_setting_to_use() {
        let url = "postgres://u@h/d?sslmode=verify-full&sslrootcert=s3cr3t";
        let error = Address::parse(url, None).err().unwrap().to_string();
        assert!(error.contains("`sslrootcert`"), "{error}");
        assert!(error.contains("`ca_file`"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn s1_a_url_that_cannot_be_used_is_not_quoted() {
        for url in [
            "",
            "s3cr3t",
            "mysql://u:s3cr3t@h",
            "postgres://",
            "postgres://u:s3cr3t@h:port/d",
            "postgres://u:s3cr3t@h/d?s3cr3t=1",
            "postgres://u:s3cr3t@a,b,c/d?hostaddr=10.0.0.1&hostaddr=10.0.0.2",
            "host=h password=s3cr3t",
        ] {
            let error = Address::parse(url, None).err();
            let error = error.unwrap_or_else(|| panic!("{url} was accepted"));
            assert!(!format!("{error:?}").contains("s3cr3t"), "{url}");
        }
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        for text in ["", "no PEM"] {
            let error = Address::parse("postgres://u@h/d", Some(text.as_bytes()));
            assert!(error.err().unwrap().to_string().contains("CA file"));
        }
    }
}
