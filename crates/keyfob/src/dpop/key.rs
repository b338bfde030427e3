//! The key that tokens are bound to: how it is made or read, and how it signs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroize;

use crate::dpop::jwk::PrivateJwk;
use crate::error::Error;

/// A private key that tokens are bound to (RFC 9449 §5).
///
/// Clones share one key, which is overwritten in memory when the last one goes. `Debug` shows the public part alone.
///
/// Tokens that a public client got with a key, and above all its refresh tokens, are of use with that key only: keep it as
/// long as them. `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one to keep.
///
/// ```
/// use keyfob::DpopKey;
///
/// let key = DpopKey::generate()?;
/// assert_eq!(key.algorithm(), "ES256");
/// println!("dpop_jkt={}", key.thumbprint());
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct DpopKey(Arc<Inner>);

struct Inner {
    signer: Signer,
    jwk: String,
    thumbprint: String,
}

/// Each frees its key through the library's `OPENSSL_free`, which overwrites it.
enum Signer {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl DpopKey {
    /// A new key for ES256, the algorithm that every server of RFC 9449 knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the system gives no random numbers.
    pub fn generate() -> Result<Self, Error> {
        EcdsaKeyPair::generate(ES256)
            .map(|pair| Self::new(Signer::Es256(pair)))
            .map_err(|_| Error::unavailable("the system gave no random numbers for a key"))
    }

    /// Reads a private key in PEM: PKCS #8, or the older `EC PRIVATE KEY` and `RSA PRIVATE KEY`; not encrypted.
    ///
    /// Its kind decides how it signs: P-256 by ES256, P-384 by ES384, Ed25519 by EdDSA, RSA of 2048 bits or more by RS256.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) for anything else. The error does not quote it.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let mut der = PrivateKeyDer::from_pem_slice(pem.as_ref()).map_err(|_| unusable())?;
        let signer = Signer::from_der(&der);
        der.zeroize();
        signer.map(Self::new).ok_or_else(unusable)
    }

    /// Reads a private key from a JSON Web Key (RFC 7517) of the same kinds; an RSA key with its primes and their exponents.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_jwk(jwk: impl AsRef<[u8]>) -> Result<Self, Error> {
        let jwk: PrivateJwk = serde_json::from_slice(jwk.as_ref()).map_err(|_| unusable())?;
        Signer::from_jwk(&jwk).map(Self::new).ok_or_else(unusable)
    }

    /// The algorithm by which it signs, as JOSE names it (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.0.signer {
            Signer::Es256(_) => "ES256",
            Signer::Es384(_) => "ES384",
            Signer::EdDsa(_) => "EdDSA",
            Signer::Rs256(_) => "RS256",
        }
    }

    /// The public part as a JSON Web Key (RFC 7517).
    #[must_use]
    pub fn public_jwk(&self) -> &str {
        &self.0.jwk
    }

    /// The SHA-256 thumbprint of the public part (RFC 7638), which `dpop_jkt` and the claim `jkt` of a token carry.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    fn new(signer: Signer) -> Self {
        let jwk = signer.public_jwk();
        Self(Arc::new(Inner {
            thumbprint: sha256(jwk.as_bytes()),
            jwk,
            signer,
        }))
    }

    /// The signature of a message, as a JSON Web Signature carries it (RFC 7515 §3).
    pub(super) fn sign(&self, message: &[u8]) -> Result<String, Error> {
        let random = SystemRandom::new();
        let signature = match &self.0.signer {
            Signer::Es256(pair) | Signer::Es384(pair) => pair
                .sign(&random, message)
                .map(|signature| encode(signature.as_ref())),
            Signer::EdDsa(pair) => pair
                .try_sign(message)
                .map(|signature| encode(signature.as_ref())),
            Signer::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| encode(&signature))
            }
        };
        signature.map_err(|_| Error::unavailable("the key of the proof cannot sign"))
    }
}

impl Signer {
    fn from_der(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let bytes = der.secret_der();
        let ec = |algorithm| EcdsaKeyPair::from_private_key_der(algorithm, bytes);
        if let Ok(pair) = ec(ES256) {
            return Some(Self::Es256(pair));
        }
        if let Ok(pair) = ec(ES384) {
            return Some(Self::Es384(pair));
        }
        match der {
            PrivateKeyDer::Pkcs8(_) => Ed25519KeyPair::from_pkcs8(bytes)
                .map(Self::EdDsa)
                .or_else(|_| RsaKeyPair::from_pkcs8(bytes).map(Self::Rs256))
                .ok(),
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).map(Self::Rs256).ok(),
            _ => None,
        }
    }

    fn from_jwk(jwk: &PrivateJwk) -> Option<Self> {
        let es256 = || jwk.ecdsa(ES256, P256).map(Self::Es256);
        let es384 = || jwk.ecdsa(ES384, P384).map(Self::Es384);
        let eddsa = || jwk.ed25519().map(Self::EdDsa);
        let rs256 = || jwk.rsa().map(Self::Rs256);
        es256().or_else(es384).or_else(eddsa).or_else(rs256)
    }

    /// With the members, the order and without the blanks of which a thumbprint is made (RFC 7638 §3).
    fn public_jwk(&self) -> String {
        match self {
            Self::Es256(pair) => ec_jwk(P256, pair),
            Self::Es384(pair) => ec_jwk(P384, pair),
            Self::EdDsa(pair) => {
                let x = encode(pair.public_key().as_ref());
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
            Self::Rs256(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let (n, e) = (encode(&public.n), encode(&public.e));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
        }
    }
}

/// The library gives the point uncompressed: 4, and then both coordinates in full length (SEC 1 §2.3.3).
fn ec_jwk(curve: &str, pair: &EcdsaKeyPair) -> String {
    let coordinates = &pair.public_key().as_ref()[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let (x, y) = (encode(x), encode(y));
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

/// The SHA-256 of a text as base64url, which is how RFC 9449 writes hashes.
pub(super) fn sha256(text: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, text).as_ref())
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unusable() -> Error {
    Error::input(
        "the key cannot be used for DPoP; give a private key on P-256 or P-384, an Ed25519 key, or an RSA key of 2048 bits \
         or more, not encrypted, in PEM or as a JSON Web Key",
    )
}

const P256: &str = "P-256";
const P384: &str = "P-384";
const ES256: &EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
const ES384: &EcdsaSigningAlgorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey")
            .field("algorithm", &self.algorithm())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}
