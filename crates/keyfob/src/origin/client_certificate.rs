//! The certificate by which a client authenticates in the TLS handshake (RFC 8705), re-read when its files change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Identity;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::origin::ca_file::{ClientIdentity, TlsClient};
use crate::origin::certified_client::{AddCertificate, Certificate};
use crate::token::private_key;
use crate::token::private_key::{DerKey, Form};
use crate::token::secret_file::{FileUse, SecretFile, numbers};

/// A client's certificate and private key, which are read again when their files change.
///
/// Give it to a session, so that requests to its own servers present the certificate, and to an
/// [OAuth client](crate::oauth::Client), whose tokens the server can then bind to it (RFC 8705). Clones share what was read.
///
/// The files are in PEM. The certificate comes first, then those between it and its authority. Certificate and key may be
/// in one file. Before each request the files' times are looked at. If they have changed, the new pair is read, and the
/// request goes over a new connection that presents it; requests that run are not disturbed. Files that are replaced by
/// renaming, or by moving a symbolic link, are never seen half-written. If a new pair cannot be used, the old one stays in
/// use, and a warning is logged once. A key file that other users can write is refused.
///
/// ```no_run
/// use keyfob::{ClientCertificate, EnvToken, Session};
///
/// let certificate = ClientCertificate::from_files("/etc/tls/tls.crt", "/etc/tls/tls.key")?;
/// let session = Session::builder(EnvToken::new("API_TOKEN"))
///     .base_url("https://api.example.com/")
///     .client_certificate(&certificate)
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientCertificate(Arc<Files>);

struct Files {
    certificate: PathBuf,
    key: SecretFile,
    passphrase: Option<Zeroizing<String>>,
    current: ArcSwap<Pair>,
    /// The state of the files when they were last read. Locked while they are read.
    seen: Mutex<State>,
}

/// A certificate and its key, as they were read.
struct Pair {
    /// How many pairs were read before it, and one.
    number: u64,
    identity: Arc<ClientIdentity>,
    thumbprint: String,
}

/// What shows that a file was replaced or changed; `None` if it cannot be looked at.
type State = [Option<(Option<SystemTime>, u64, [i64; 4])>; 2];

impl ClientCertificate {
    /// Reads the certificate, with those between it and its authority, and its private key.
    ///
    /// For one file with both, give it twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if a file cannot be read, is not in PEM, or other users can write the key; and if the key does
    /// not belong to the first certificate. The error names the file.
    pub fn from_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read(certificate.as_ref(), key.as_ref(), None)
    }

    /// As [`from_files`](Self::from_files), with a private key that is encrypted with this passphrase.
    ///
    /// The encryption is PBES2 with AES, as `openssl pkcs8 -topk8` writes it. It needs the feature `oauth`. A new key must have the same passphrase.
    ///
    /// # Errors
    ///
    /// As [`from_files`](Self::from_files); and if the passphrase is wrong.
    pub fn from_encrypted_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        passphrase: impl Into<String>,
    ) -> Result<Self, Error> {
        let passphrase = Zeroizing::new(passphrase.into());
        Self::read(certificate.as_ref(), key.as_ref(), Some(passphrase))
    }

    /// The SHA-256 thumbprint of the present certificate, which bound tokens contain (`x5t#S256`, RFC 8705 §3.1).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.current().thumbprint.clone()
    }

    /// The files of the certificate and of its key.
    #[must_use]
    pub fn files(&self) -> (&Path, &Path) {
        (&self.0.certificate, self.0.key.path())
    }

    /// The passphrase of the key, for another TLS library that reads the same files.
    #[doc(hidden)]
    #[must_use]
    pub fn passphrase(&self) -> Option<&str> {
        self.0.passphrase.as_ref().map(|text| text.as_str())
    }

    fn read(
        certificate: &Path,
        key: &Path,
        passphrase: Option<Zeroizing<String>>,
    ) -> Result<Self, Error> {
        let key = SecretFile::new(key, FileUse::Secret);
        let passphrase = passphrase.filter(|text| !text.is_empty());
        let seen = state(certificate, &key);
        let pair = read_pair(
            certificate,
            &key,
            passphrase.as_ref().map(|text| text.as_str()),
        )?;
        Ok(Self(Arc::new(Files {
            certificate: certificate.to_owned(),
            key,
            passphrase,
            current: ArcSwap::from_pointee(pair),
            seen: Mutex::new(seen),
        })))
    }

    /// The certificate and key of the files, as they are now.
    ///
    /// It looks at the times of two files, and reads them only if they have changed.
    fn current(&self) -> Arc<Pair> {
        let files = &*self.0;
        // While another caller reads, the old pair is good enough.
        if let Ok(mut seen) = files.seen.try_lock() {
            let now = state(&files.certificate, &files.key);
            if now != *seen {
                *seen = now;
                files.read_again(&mut seen);
            }
        }
        files.current.load_full()
    }
}

impl<C: TlsClient> Certificate<C> for ClientCertificate {
    fn unless(&self, number: u64) -> Option<(u64, AddCertificate<C>)> {
        let pair = self.current();
        (pair.number != number).then(|| {
            let identity = Arc::clone(&pair.identity);
            let add = move |client: C| client.present(&identity);
            (pair.number, Box::new(add) as AddCertificate<C>)
        })
    }
}

impl Files {
    fn read_again(&self, seen: &mut State) {
        let passphrase = self.passphrase.as_ref().map(|text| text.as_str());
        for _ in 0..READS {
            let error = match read_pair(&self.certificate, &self.key, passphrase) {
                Ok(pair) => {
                    let number = self.current.load().number + 1;
                    return self.current.store(Arc::new(Pair { number, ..pair }));
                }
                Err(error) => error,
            };
            // The two files may have been replaced while they were read.
            let now = state(&self.certificate, &self.key);
            if now == *seen {
                tracing::warn!(
                    target: "keyfob",
                    %error,
                    "the new client certificate cannot be used; the old one stays in use",
                );
                return;
            }
            *seen = now;
        }
    }
}

fn read_pair(
    certificate: &Path,
    key: &SecretFile,
    passphrase: Option<&str>,
) -> Result<Pair, Error> {
    let unusable = |problem: &str| {
        Error::input(format!(
            "the client certificate {} {problem}",
            certificate.display()
        ))
    };
    let chain = read_chain(certificate, &unusable)?;
    let text = key
        .read_dated()
        .map_err(|fault| fault.into_error(ErrorKind::Input, "the key of the client certificate"))?
        .0;
    let key_error = |problem: &str| {
        Error::input(format!(
            "the key of the client certificate {} {problem}",
            key.path().display()
        ))
    };
    let key = private_key::read(text.as_bytes(), passphrase).map_err(key_error)?;
    let certified = CertifiedKey::from_der(
        chain.clone(),
        to_rustls(&key),
        &aws_lc_rs::default_provider(),
    );
    let certified = match certified {
        Ok(certified) => Arc::new(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(key_error(&format!(
                "does not belong to the first certificate in {}; give the pair that was issued together, the client's own \
                 certificate before those of authorities",
                certificate.display()
            )));
        }
        Err(rustls::Error::InvalidCertificate(_)) => {
            return Err(unusable(
                "has a certificate that cannot be read; export it again",
            ));
        }
        Err(_) => return Err(key_error("is of a kind that cannot be used, or damaged")),
    };
    let identity = Identity::from_pem(to_pem(&chain, &key).as_bytes())
        .map_err(|_| unusable("cannot be used"))?;
    Ok(Pair {
        number: 1,
        identity: Arc::new(ClientIdentity {
            identity,
            certified,
        }),
        thumbprint: thumbprint(&chain[0]),
    })
}

fn read_chain(
    path: &Path,
    unusable: &dyn Fn(&str) -> Error,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = std::fs::read(path).map_err(|cause| {
        let problem = match cause.kind() {
            std::io::ErrorKind::NotFound => "does not exist",
            _ => "cannot be read",
        };
        unusable(problem).caused_by(cause)
    })?;
    let text = Zeroizing::new(text);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|_| unusable("is a PEM that is cut or changed"))?;
    match chain.is_empty() {
        true => Err(unusable(
            "has no certificate; it must have one in PEM, which begins with `-----BEGIN CERTIFICATE-----`",
        )),
        false => Ok(chain),
    }
}

fn to_rustls(key: &DerKey) -> PrivateKeyDer<'static> {
    let der = key.der.to_vec();
    match key.form {
        Form::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
        Form::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
        Form::Sec1 => PrivateKeyDer::Sec1(der.into()),
    }
}

/// Both in one text, without the sections and encryption that `reqwest` does not read.
fn to_pem(chain: &[CertificateDer<'_>], key: &DerKey) -> Zeroizing<String> {
    let label = match key.form {
        Form::Pkcs1 => "RSA PRIVATE KEY",
        Form::Pkcs8 => "PRIVATE KEY",
        Form::Sec1 => "EC PRIVATE KEY",
    };
    let key = Zeroizing::new(STANDARD.encode(&*key.der));
    let section = |label: &str, text: &str| {
        [
            "-----BEGIN ",
            label,
            "-----\n",
            text,
            "\n-----END ",
            label,
            "-----\n",
        ]
        .concat()
    };
    let certificates: String = chain
        .iter()
        .map(|der| section("CERTIFICATE", &STANDARD.encode(der)))
        .collect();
    let key = Zeroizing::new(section(label, &key));
    Zeroizing::new([certificates.as_str(), key.as_str()].concat())
}

fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    // The SHA-256 of the TLS library, so that no other is needed.
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().expect("it is a suite of TLS 1.3");
    let hash = suite.common.hash_provider.hash(certificate);
    URL_SAFE_NO_PAD.encode(hash)
}

fn state(certificate: &Path, key: &SecretFile) -> State {
    // Follows links, because a swap of a link is a change too.
    let of = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok(), found.len(), numbers(&found)))
    };
    [of(certificate), of(key.path())]
}

/// Shows the files, and never the key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("certificate", &self.0.certificate)
            .field("key", &self.0.key.path())
            .finish_non_exhaustive()
    }
}

/// How often files are read that are replaced meanwhile.
const READS: usize = 3;
