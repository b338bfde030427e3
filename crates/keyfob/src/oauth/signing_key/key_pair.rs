//! Key pairs: reading and generating them, signing with them, and their public keys.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING as P256, ECDSA_P384_SHA384_FIXED_SIGNING as P384, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RsaEncoding, RsaKeyPair,
};
use huskarl_core::jwk;
use huskarl_core::jwk::{Jwk, PrivateKey, PublicKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroize;

use crate::error::error::Error;

/// The algorithm of a signature (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// ```
/// use keyfob::oauth::Algorithm;
///
/// assert_eq!(Algorithm::EdDsa.name(), "EdDSA");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, the default of RSA keys.
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

impl Algorithm {
    /// The name in the header of a JWT (`alg`).
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

    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        use Algorithm::{EdDsa, Es256, Es384, Rs256, Rs384};
        [Rs256, Rs384, Es256, Es384, EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(unsupported)
    }
}

/// A key pair of a kind that can sign here.
pub(super) enum SigningKeyPair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKeyPair {
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let mut key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            Error::input("the signing key is not a private key in PEM form, or is encrypted")
        })?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der())
                .ok()
                .map(Self::Rsa),
            PrivateKeyDer::Sec1(der) => Self::ecdsa_from_der(der.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(der) => Self::from_pkcs8(der.secret_pkcs8_der()),
            _ => None,
        };
        key.zeroize();
        pair.ok_or_else(unsupported)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, Error> {
        jwk.private_key()
            .and_then(|key| Self::from_private_key(&key))
            .ok_or_else(unsupported)
    }

    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 => {
                RsaKeyPair::generate(rsa::KeySize::Rsa2048).map(Self::Rsa)
            }
            Algorithm::Es256 => EcdsaKeyPair::generate(&P256).map(Self::P256),
            Algorithm::Es384 => EcdsaKeyPair::generate(&P384).map(Self::P384),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Self::Ed25519),
        };
        pair.map_err(|_| Error::input("the signing key cannot be generated"))
    }

    /// The algorithms that this kind of key can sign with, the default first.
    pub(super) fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa(_) => &[Algorithm::Rs256, Algorithm::Rs384],
            Self::P256(_) => &[Algorithm::Es256],
            Self::P384(_) => &[Algorithm::Es384],
            Self::Ed25519(_) => &[Algorithm::EdDsa],
        }
    }

    pub(super) fn sign(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(pair) | Self::P384(pair) => {
                Ok(pair.sign(&random, message)?.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    pub(super) fn public_key(&self) -> PublicKey {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                jwk::RsaPublicKey::builder()
                    .n(n.big_endian_without_leading_zero().to_vec())
                    .e(e.big_endian_without_leading_zero().to_vec())
                    .build()
                    .into()
            }
            Self::P256(pair) => ec_public_key("P-256", pair.public_key().as_ref()),
            Self::P384(pair) => ec_public_key("P-384", pair.public_key().as_ref()),
            Self::Ed25519(pair) => jwk::OkpPublicKey::builder()
                .crv("Ed25519")
                .x(pair.public_key().as_ref().to_vec())
                .build()
                .into(),
        }
    }

    /// PKCS#8 holds any kind of key, so each kind is tried.
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let rsa = RsaKeyPair::from_pkcs8(der).map(Self::Rsa).ok();
        // Unchecked: OpenSSL writes PKCS#8 without the public key, with which the strict reader compares (RFC 8410 §7).
        let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
        rsa.or_else(|| Self::ecdsa_from_der(der))
            .or_else(|| ed25519().map(Self::Ed25519))
    }

    fn ecdsa_from_der(der: &[u8]) -> Option<Self> {
        let read = |curve| EcdsaKeyPair::from_private_key_der(curve, der).ok();
        read(&P256)
            .map(Self::P256)
            .or_else(|| read(&P384).map(Self::P384))
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
                    // RFC 7518 §6.3.2 allows a key without its primes, but then it cannot be read here.
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
                let read = |curve: &'static EcdsaSigningAlgorithm| {
                    EcdsaKeyPair::from_private_key_and_public_key(curve, &key.d, &point).ok()
                };
                match &*key.public.crv {
                    "P-256" => read(&P256).map(Self::P256),
                    "P-384" => read(&P384).map(Self::P384),
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
}

/// Reads a point in uncompressed form: a marker byte, then x and y of equal length (SEC 1 §2.3.3).
fn ec_public_key(curve: &str, point: &[u8]) -> PublicKey {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    jwk::EcPublicKey::builder()
        .crv(curve)
        .x(x.to_vec())
        .y(y.to_vec())
        .build()
        .into()
}

fn unsupported() -> Error {
    Error::input(
        "the signing key is not supported; give a private key that is RSA of at least 2048 bits, P-256, P-384 or Ed25519",
    )
}

/// The marker byte of a point in uncompressed form.
const UNCOMPRESSED: u8 = 4;
