//! A private key that signs client assertions, JWT bearer assertions and DPoP proofs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use huskarl_core::jwk::{Jwk, PublicJwk};
use serde_json::{Value, json};

mod jwk;
pub(crate) mod jws;
pub(crate) mod key_pair;

use crate::error::error::Error;
use crate::oauth::signing_key::jwk::wrong;
use crate::oauth::signing_key::key_pair::{Algorithm, SigningKeyPair, names};
use crate::token::private_key;

/// A private key that signs JWTs (RFC 7515). It is never shown.
///
/// An RSA key signs as RS256 to RS512 and PS256 to PS512, a P-256 key as ES256, a P-384 key as ES384, a P-521 key as ES512, and
/// an Ed25519 key as EdDSA. Clones share the key.
///
/// ```
/// use keyfob::oauth::{Algorithm, SigningKey};
///
/// let key = SigningKey::generate(Algorithm::Es384)?.key_id("2026-11");
/// assert_eq!(format!("{key:?}"), r#"SigningKey { algorithm: Es384, key_id: Some("2026-11") }"#);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<SigningKeyPair>,
    algorithm: Algorithm,
    key_id: Option<String>,
    /// The SHA-256 thumbprint of the key's certificate.
    certificate: Option<String>,
}

impl SigningKey {
    /// Reads an unencrypted private key in PEM form.
    ///
    /// It may be PKCS#8, PKCS#1 (RSA) or SEC 1 (EC). Other sections, such as certificates, are skipped. In place of line ends
    /// there may be spaces or the two characters `\n`, as in variables and JSON files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it is not a private key, or a kind of key that is not supported. The
    /// error says why, and does not quote it.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let key = private_key::read(pem.as_ref(), None).map_err(wrong)?;
        SigningKeyPair::from_der(&key).map(Self::new)
    }

    /// Reads a private key in PEM form that may be encrypted with this passphrase.
    ///
    /// The encryption is PBES2 (RFC 8018 §6.2) with AES, as `openssl pkcs8 -topk8` and `openssl genpkey -aes256` write it.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem); and if the passphrase is wrong.
    pub fn from_encrypted_pem(
        pem: impl AsRef<[u8]>,
        passphrase: impl AsRef<str>,
    ) -> Result<Self, Error> {
        let key = private_key::read(pem.as_ref(), Some(passphrase.as_ref())).map_err(wrong)?;
        SigningKeyPair::from_der(&key).map(Self::new)
    }

    /// Reads a private key in JSON form: a JWK, or a set that has one private key (RFC 7517).
    ///
    /// Its `kid` and `alg` are used if they are present.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::of_jwk(&jwk::read(json.as_ref(), None)?)
    }

    /// Reads the private key with this `kid` from a set of keys in JSON form (RFC 7517 §5).
    ///
    /// # Errors
    ///
    /// As [`from_jwk`](Self::from_jwk); and if no key of the set has the id.
    pub fn from_jwk_set(json: impl AsRef<[u8]>, key_id: &str) -> Result<Self, Error> {
        Self::of_jwk(&jwk::read(json.as_ref(), Some(key_id))?)
    }

    fn of_jwk(jwk: &Jwk) -> Result<Self, Error> {
        let mut key = Self::new(SigningKeyPair::from_jwk(jwk)?);
        key.key_id = jwk.kid.clone();
        match jwk.algorithm.as_deref() {
            Some(name) => key.algorithm(Algorithm::parse(name)?),
            None => Ok(key),
        }
    }

    /// Generates a new key. An RSA key has 2048 bits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the system gives no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Self::new(SigningKeyPair::generate(algorithm)?).algorithm(algorithm)
    }

    fn new(pair: SigningKeyPair) -> Self {
        Self {
            algorithm: pair.algorithms()[0],
            pair: Arc::new(pair),
            key_id: None,
            certificate: None,
        }
    }

    /// Sets the algorithm. Only RSA keys have a choice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if this kind of key cannot sign with the algorithm.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Result<Self, Error> {
        if !self.pair.algorithms().contains(&algorithm) {
            return Err(wrong(&format!(
                "is {}, which cannot sign as {}; it signs as {}",
                self.pair.kind(),
                algorithm.name(),
                names(self.pair.algorithms())
            )));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Sets the key identifier that signatures contain (`kid`, RFC 7515 §4.1.4).
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Sets the certificate of the key, in PEM form.
    ///
    /// JWTs that the key signs then contain its SHA-256 thumbprint (`x5t#S256`, RFC 7515 §4.1.8), by which Microsoft Entra finds
    /// the key. Sections that are no certificate are skipped, so the text may be a file with the key too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the text has no certificate, or the first one is that of another key.
    pub fn certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let certificate = private_key::first_certificate(pem.as_ref()).ok_or_else(|| {
            Error::input(
                "the certificate of the private key is not in PEM form; give a section `-----BEGIN CERTIFICATE-----`",
            )
        })?;
        let public = self.pair.public_der();
        // A certificate holds the public key as it is.
        if !certificate.windows(public.len()).any(|part| part == public) {
            return Err(Error::input(
                "the certificate does not belong to the private key; give the certificate that was made for this key",
            ));
        }
        self.certificate = Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate)));
        Ok(self)
    }

    /// The algorithm that the key signs with.
    #[must_use]
    pub fn signs_as(&self) -> Algorithm {
        self.algorithm
    }

    /// The protected header of a JWT that the key signs (RFC 7515 §4).
    pub(crate) fn jose_header(&self) -> Value {
        let mut header = json!({"alg": self.algorithm.name(), "typ": "JWT"});
        if let Some(id) = &self.key_id {
            header["kid"] = id.as_str().into();
        }
        if let Some(thumbprint) = &self.certificate {
            header["x5t#S256"] = thumbprint.as_str().into();
        }
        header
    }

    /// The public key as a JWK (RFC 7517), for registering the client at the server.
    ///
    /// ```
    /// use keyfob::oauth::{Algorithm, SigningKey};
    ///
    /// let jwk = SigningKey::generate(Algorithm::EdDsa)?.public_jwk();
    /// assert!(jwk.contains(r#""kty":"OKP""#) && !jwk.contains(r#""d":"#));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn public_jwk(&self) -> String {
        let jwk = PublicJwk::builder()
            .key(self.pair.public_key())
            .algorithm(self.algorithm.name())
            .maybe_kid(self.key_id.clone())
            .build();
        serde_json::to_string(&jwk).expect("a public JWK contains only strings")
    }

    /// The SHA-256 hash of the public key in base64, after `SHA256:`, as Snowflake shows it.
    ///
    /// It is the hash of the `SubjectPublicKeyInfo` (RFC 5280 §4.1), and not the [`thumbprint`](Self::thumbprint).
    ///
    /// ```
    /// use keyfob::oauth::{Algorithm, SigningKey};
    ///
    /// let key = SigningKey::generate(Algorithm::Rs256)?;
    /// let fingerprint = key.fingerprint();
    /// assert!(fingerprint.starts_with("SHA256:") && fingerprint.ends_with('='));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, &self.pair.public_der());
        format!("SHA256:{}", STANDARD.encode(hash))
    }

    /// The SHA-256 thumbprint of the public key (RFC 7638).
    ///
    /// Servers identify the key by it. An authorization request may contain it as `dpop_jkt` (RFC 9449 §10). A token that
    /// is bound to the key contains it in its claim `jkt` (RFC 9449 §6.1).
    ///
    /// ```
    /// use keyfob::oauth::SigningKey;
    ///
    /// // The key of RFC 8037, appendix A.
    /// let key = SigningKey::from_jwk(
    ///     r#"{"kty":"OKP","crv":"Ed25519",
    ///         "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    ///         "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    /// )?;
    /// assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.to_bare_jwk().thumbprint()
    }

    /// The public key without `alg` and `kid`, as a DPoP proof contains it.
    pub(crate) fn to_bare_jwk(&self) -> PublicJwk {
        PublicJwk::builder().key(self.pair.public_key()).build()
    }

    pub(crate) fn signature(
        &self,
        message: &[u8],
    ) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        self.pair.sign(self.algorithm, message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish()
    }
}
