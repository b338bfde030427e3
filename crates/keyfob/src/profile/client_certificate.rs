//! The client certificate of a profile (RFC 8705), and who sees it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::error::error::Error;
use crate::origin::client_certificate::ClientCertificate;
use crate::profile::key::{Key, Kind, TableKeys, words};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// The files of a client certificate, and the certificate once it has been read.
///
/// The token endpoint and the API see the same certificate, because a token may be bound to it.
#[derive(Clone, Debug)]
pub(super) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    passphrase: Option<SecretRef>,
    read: Arc<OnceCell<ClientCertificate>>,
}

/// Which servers see a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PresentedTo {
    Both,
    Api,
    TokenEndpoint,
}

/// A client certificate, and which servers see it.
pub(super) struct CertificateSettings {
    pub(super) files: CertificateFiles,
    pub(super) presented_to: PresentedTo,
}

impl CertificateFiles {
    /// The certificate, which is read at the first call.
    pub(super) async fn certificate(&self) -> Result<ClientCertificate, Error> {
        let read = self.read.get_or_try_init(|| async {
            let (certificate, key) = (&self.certificate, &self.key);
            match &self.passphrase {
                None => ClientCertificate::from_files(certificate, key),
                Some(secret) => {
                    let passphrase = secret.read_now().await?;
                    ClientCertificate::from_encrypted_files(certificate, key, passphrase.as_str())
                }
            }
        });
        read.await.cloned()
    }
}

impl From<&ClientCertificate> for CertificateFiles {
    fn from(certificate: &ClientCertificate) -> Self {
        let (file, key) = certificate.files();
        Self {
            certificate: file.to_owned(),
            key: key.to_owned(),
            passphrase: None,
            read: Arc::new(OnceCell::new_with(Some(certificate.clone()))),
        }
    }
}

/// Reads a file with certificate and key, or a table.
pub(super) fn read(value: &Value<'_>) -> Read<CertificateSettings> {
    if value.is_table() {
        return value.table(&KEYS, read_table);
    }
    let certificate = value.path()?;
    Ok(CertificateSettings {
        files: CertificateFiles {
            key: certificate.clone(),
            certificate,
            passphrase: None,
            read: Arc::default(),
        },
        presented_to: PresentedTo::Both,
    })
}

fn read_table(table: &Table<'_>) -> Read<CertificateSettings> {
    let purpose = "the file in PEM with the certificate of the client";
    let certificate = table.required("certificate", purpose, Value::path);
    let key = table.optional("key", Value::path);
    let passphrase = table.optional("key_passphrase", Value::secret);
    let presented_to = table.optional("presented_to", |value| {
        value.one_of("kind of server", &PRESENTED_TO)
    });
    let certificate = certificate?;
    Ok(CertificateSettings {
        files: CertificateFiles {
            key: key.unwrap_or_else(|| certificate.clone()),
            certificate,
            passphrase,
            read: Arc::default(),
        },
        presented_to: presented_to.unwrap_or(PresentedTo::Both),
    })
}

const PRESENTED_TO: [(&str, PresentedTo); 3] = [
    ("both", PresentedTo::Both),
    ("api", PresentedTo::Api),
    ("token_endpoint", PresentedTo::TokenEndpoint),
];

/// The table `[profiles.name.client_certificate]`.
pub(super) static KEYS: TableKeys = TableKeys {
    required: &["certificate"],
    ..TableKeys::new(
        "client_certificate",
        "The certificate that is presented to servers that ask for one",
        &[CERTIFICATE_KEYS],
    )
};

const CERTIFICATE_KEYS: &[Key] = &[
    Key::new(
        "certificate",
        Kind::Path,
        "the file (PEM) with the client's certificate, and after it those between it and its authority",
    ),
    Key::new("key", Kind::Path, "the file (PEM) with its private key")
        .default("the file of the certificate"),
    Key::new(
        "key_passphrase",
        Kind::Secret,
        "reference to the passphrase of an encrypted key (PBES2 with AES)",
    )
    .default("none"),
    Key::new(
        "presented_to",
        Kind::Word(|| words(&PRESENTED_TO)),
        "which servers see it: `both`, only the `api`, or only the `token_endpoint`",
    )
    .default("both"),
];
