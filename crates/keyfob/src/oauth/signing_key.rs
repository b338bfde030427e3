//! A private key that signs: who a client is, and who holds a token.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{rsa, signature};
use futures_util::future::ready;
use huskarl_core::crypto::signer::{JwsSigner, JwsSignerSelector};
use huskarl_core::jwk;
use huskarl_core::jwk::{Jwk, PrivateKey, PublicJwk, PublicKey};
use huskarl_core::platform::MaybeSendBoxFuture;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroize;

use crate::error::error::Error;

/// A private key that signs (RFC 7515), of which nothing is ever shown.
///
/// An RSA key signs as RS256 or RS384, one on P-256 as ES256, on P-384 as ES384, and an Ed25519 key as EdDSA. Clones share
/// the key.
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
    pair: Arc<Pair>,
    algorithm: Algorithm,
    key_id: Option<String>,
}

/// How a [`SigningKey`] signs (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; what an RSA key does unless told otherwise.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// The key as the protocol library takes it.
#[derive(Clone, Debug)]
pub(crate) struct Signer(pub(crate) SigningKey);

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Algorithm {
    /// As the `alg` of a JWS names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl SigningKey {
    /// Reads a private key in PEM form: PKCS#8, or as OpenSSL wrote RSA and EC keys before; not encrypted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it is none, or of a kind that cannot sign here. It does not quote it.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let mut key = PrivateKeyDer::from_pem_slice(pem.as_ref()).map_err(|_| {
            Error::input("the signing key is not a private key in PEM form, or is encrypted")
        })?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(Pair::Rsa),
            PrivateKeyDer::Sec1(der) => Pair::on_a_curve(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => Pair::from_pkcs8(der.secret_pkcs8_der()),
            _ => None,
        };
        key.zeroize();
        pair.map(Self::new).ok_or_else(unusable)
    }

    /// Reads a private key in JSON (RFC 7517), with its `kid` and its `alg` if they are there.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, Error> {
        let jwk: Jwk = serde_json::from_slice(json.as_ref())
            .map_err(|_| Error::input("the signing key is not a private key in JWK form"))?;
        let key = jwk.private_key().ok_or_else(unusable)?;
        let pair = Pair::from_private_key(&key).ok_or_else(unusable)?;
        let mut signing = Self::new(pair);
        signing.key_id = jwk.kid.clone();
        match jwk.algorithm.as_deref() {
            None => Ok(signing),
            Some(name) => {
                let algorithm = ALGORITHMS.iter().find(|algorithm| algorithm.name() == name);
                signing.algorithm(*algorithm.ok_or_else(unusable)?)
            }
        }
    }

    /// Makes a new key; an RSA one has 2048 bits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the machine has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 => {
                RsaKeyPair::generate(rsa::KeySize::Rsa2048).map(Pair::Rsa)
            }
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256)
            }
            Algorithm::Es384 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(Pair::P384)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        let pair = pair.map_err(|_| Error::input("no signing key could be made"))?;
        Self::new(pair).algorithm(algorithm)
    }

    fn new(pair: Pair) -> Self {
        let algorithm = match &pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::P256(_) => Algorithm::Es256,
            Pair::P384(_) => Algorithm::Es384,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        };
        Self {
            pair: Arc::new(pair),
            algorithm,
            key_id: None,
        }
    }

    /// Says how it signs; only an RSA key has a choice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a key of its kind does not sign so.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Result<Self, Error> {
        let fits = match &*self.pair {
            Pair::Rsa(_) => matches!(algorithm, Algorithm::Rs256 | Algorithm::Rs384),
            Pair::P256(_) => algorithm == Algorithm::Es256,
            Pair::P384(_) => algorithm == Algorithm::Es384,
            Pair::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        if !fits {
            return Err(Error::input(format!(
                "the signing key is of a kind that does not sign as {}",
                algorithm.name()
            )));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Names the key in what it signs (`kid` of RFC 7515 §4.1.4).
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// How it signs.
    #[must_use]
    pub fn signs_as(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a JWK (RFC 7517), for the server where the client is registered.
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
        serde_json::to_string(&self.to_public_jwk()).expect("a public JWK is text alone")
    }

    /// The SHA-256 thumbprint of the public half (RFC 7638), by which servers know it.
    ///
    /// An authorization request may name it as `dpop_jkt`; a token that is bound to the key has it in its claim `jkt`
    /// (RFC 9449 §6.1 and §10).
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

    pub(crate) fn to_public_jwk(&self) -> PublicJwk {
        PublicJwk::builder()
            .key(self.pair.public_key())
            .algorithm(self.algorithm.name())
            .maybe_kid(self.key_id.clone())
            .build()
    }

    /// The public half alone, as a proof of possession tells it.
    pub(crate) fn to_bare_jwk(&self) -> PublicJwk {
        PublicJwk::builder().key(self.pair.public_key()).build()
    }

    pub(crate) fn signature(
        &self,
        message: &[u8],
    ) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signed)?;
                Ok(signed)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                Ok(pair.sign(&random, message)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        RsaKeyPair::from_pkcs8(der)
            .ok()
            .map(Self::Rsa)
            .or_else(|| Self::on_a_curve(der))
            .or_else(|| {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .ok()
                    .map(Self::Ed25519)
            })
    }

    fn on_a_curve(der: &[u8]) -> Option<Self> {
        let read = EcdsaKeyPair::from_private_key_der;
        let p256 = read(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let p384 = || read(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, der);
        p256.ok()
            .map(Self::P256)
            .or_else(|| p384().ok().map(Self::P384))
    }

    fn from_private_key(key: &PrivateKey) -> Option<Self> {
        match key {
            PrivateKey::Rsa(key) => {
                let components = rsa::KeyPairComponents {
                    public_key: rsa::PublicKeyComponents {
                        n: &key.public.n,
                        e: &key.public.e,
                    },
                    d: &key.d,
                    p: key.p.as_ref()?,
                    q: key.q.as_ref()?,
                    dP: key.dp.as_ref()?,
                    dQ: key.dq.as_ref()?,
                    qInv: key.qi.as_ref()?,
                };
                RsaKeyPair::from_components(&components).ok().map(Self::Rsa)
            }
            PrivateKey::Ec(key) => {
                let point = [&[UNCOMPRESSED], &*key.public.x, &*key.public.y].concat();
                let read = |algorithm| {
                    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &key.d, &point).ok()
                };
                match &*key.public.crv {
                    "P-256" => read(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::P256),
                    "P-384" => read(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384),
                    _ => None,
                }
            }
            PrivateKey::Okp(key) if key.public.crv == "Ed25519" => {
                Ed25519KeyPair::from_seed_and_public_key(&key.d, &key.public.x)
                    .ok()
                    .map(Self::Ed25519)
            }
            _ => None,
        }
    }

    fn public_key(&self) -> PublicKey {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                jwk::RsaPublicKey::builder()
                    .n(public
                        .modulus()
                        .big_endian_without_leading_zero()
                        .iter()
                        .copied())
                    .e(public
                        .exponent()
                        .big_endian_without_leading_zero()
                        .iter()
                        .copied())
                    .build()
                    .into()
            }
            Self::P256(pair) => on_curve("P-256", pair.public_key().as_ref()),
            Self::P384(pair) => on_curve("P-384", pair.public_key().as_ref()),
            Self::Ed25519(pair) => jwk::OkpPublicKey::builder()
                .crv("Ed25519")
                .x(pair.public_key().as_ref().iter().copied())
                .build()
                .into(),
        }
    }
}

/// A point in its uncompressed form (SEC 1 §2.3.3): a mark, then x and y of equal length.
fn on_curve(name: &str, point: &[u8]) -> PublicKey {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    jwk::EcPublicKey::builder()
        .crv(name)
        .x(x.iter().copied())
        .y(y.iter().copied())
        .build()
        .into()
}

impl JwsSigner for Signer {
    fn jws_algorithm(&self) -> Cow<'_, str> {
        self.0.algorithm.name().into()
    }

    fn key_id(&self) -> Option<Cow<'_, str>> {
        self.0.key_id.as_deref().map(Cow::Borrowed)
    }

    fn sign<'a>(
        &'a self,
        input: &'a [u8],
    ) -> MaybeSendBoxFuture<'a, Result<Vec<u8>, huskarl_core::Error>> {
        let signed = self
            .0
            .signature(input)
            .map_err(|cause| huskarl_core::Error::new(huskarl_core::RetryAdvice::No, cause));
        Box::pin(ready(signed))
    }
}

impl JwsSignerSelector for Signer {
    fn select_signer(&self) -> MaybeSendBoxFuture<'_, Arc<dyn JwsSigner>> {
        let signer: Arc<dyn JwsSigner> = Arc::new(self.clone());
        Box::pin(ready(signer))
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

fn unusable() -> Error {
    Error::input(
        "the signing key cannot be used; give a private key that is RSA of 2048 bits or more, on P-256 or P-384, or Ed25519",
    )
}

const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];
const UNCOMPRESSED: u8 = 4;
