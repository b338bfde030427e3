//! Key pairs: reading and generating them, signing with them, and their public keys.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING as P256, ECDSA_P384_SHA384_FIXED_SIGNING as P384,
    ECDSA_P521_SHA512_FIXED_SIGNING as P521, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use huskarl_core::jwk;
use huskarl_core::jwk::{Jwk, PrivateKey, PublicKey};
use pkcs8::der::asn1::{ObjectIdentifier, UintRef};
use pkcs8::der::{Reader, SliceReader};
use pkcs8::{PrivateKeyInfoRef, der};

use crate::error::error::Error;
use crate::error::shown_name::shown_name;
use crate::oauth::signing_key::jwk::{rsa_number, rsa_size, unusable, wrong};
use crate::token::private_key::{DerKey, Form};

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
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All algorithms, those of RSA first.
    pub const ALL: &[Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The name in the header of a JWT (`alg`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        let mut all = Self::ALL.iter().copied();
        let known = all.find(|algorithm| algorithm.name() == name);
        known.ok_or_else(|| {
            wrong(&format!(
                "has the `alg` {}, which is not one of {}",
                shown_name(name),
                names(Self::ALL)
            ))
        })
    }
}

/// The names of algorithms, for an error.
pub(super) fn names(algorithms: &[Algorithm]) -> String {
    let names: Vec<_> = algorithms
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    names.join(", ")
}

/// A key pair of a kind that can sign here.
pub(super) enum SigningKeyPair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKeyPair {
    pub(super) fn from_der(key: &DerKey) -> Result<Self, Error> {
        match key.form {
            Form::Pkcs1 => rsa_pair(&key.der),
            Form::Sec1 => ec_pair(&key.der),
            Form::Pkcs8 => Self::from_pkcs8(&key.der),
        }
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, Error> {
        jwk.private_key()
            .and_then(|key| Self::from_private_key(&key))
            .ok_or_else(|| unusable(jwk))
    }

    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&P256).map(Self::P256),
            Algorithm::Es384 => EcdsaKeyPair::generate(&P384).map(Self::P384),
            Algorithm::Es512 => EcdsaKeyPair::generate(&P521).map(Self::P521),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Self::Ed25519),
            // All others are for RSA.
            _ => RsaKeyPair::generate(rsa::KeySize::Rsa2048).map(Self::Rsa),
        };
        pair.map_err(|_| Error::input("the signing key cannot be generated"))
    }

    /// The algorithms that this kind of key can sign with, the default first.
    pub(super) fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa(_) => &Algorithm::ALL[..6],
            Self::P256(_) => &[Algorithm::Es256],
            Self::P384(_) => &[Algorithm::Es384],
            Self::P521(_) => &[Algorithm::Es512],
            Self::Ed25519(_) => &[Algorithm::EdDsa],
        }
    }

    /// The kind of key, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "an RSA key",
            Self::P256(_) => "a P-256 key",
            Self::P384(_) => "a P-384 key",
            Self::P521(_) => "a P-521 key",
            Self::Ed25519(_) => "an Ed25519 key",
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
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(pair) | Self::P384(pair) | Self::P521(pair) => {
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
            Self::P521(pair) => ec_public_key("P-521", pair.public_key().as_ref()),
            Self::Ed25519(pair) => jwk::OkpPublicKey::builder()
                .crv("Ed25519")
                .x(pair.public_key().as_ref().to_vec())
                .build()
                .into(),
        }
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    pub(super) fn public_der(&self) -> Vec<u8> {
        let der = match self {
            Self::Rsa(pair) => pair.public_key().as_der(),
            Self::P256(pair) | Self::P384(pair) | Self::P521(pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.expect("a key that signs has this form")
            .as_ref()
            .to_vec()
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let Ok(info) = PrivateKeyInfoRef::try_from(der) else {
            return Err(wrong(
                "is a PEM whose content is no private key (RFC 5958); it may be cut or changed",
            ));
        };
        match info.algorithm.oid {
            RSA => rsa_pair(info.private_key.as_bytes()),
            EC => ec_pair(der),
            // Unchecked: OpenSSL writes PKCS#8 without the public key, with which the strict reader compares (RFC 8410 §7).
            ED25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(Self::Ed25519)
                .map_err(|_| wrong("is an Ed25519 key that is damaged")),
            other => Err(wrong(&format!(
                "is of a kind that cannot sign here ({}); give RSA, P-256, P-384, P-521 or Ed25519",
                kind_of(other)
            ))),
        }
    }

    fn from_private_key(key: &PrivateKey) -> Option<Self> {
        match key {
            PrivateKey::Rsa(key) => {
                let components = rsa::KeyPairComponents {
                    public_key: rsa::PublicKeyComponents {
                        n: rsa_number(&key.public.n),
                        e: rsa_number(&key.public.e),
                    },
                    d: rsa_number(&key.d),
                    // RFC 7518 §6.3.2 allows a key without its primes, but then it cannot be read here.
                    p: rsa_number(key.p.as_ref()?),
                    q: rsa_number(key.q.as_ref()?),
                    dP: rsa_number(key.dp.as_ref()?),
                    dQ: rsa_number(key.dq.as_ref()?),
                    qInv: rsa_number(key.qi.as_ref()?),
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
                    "P-521" => read(&P521).map(Self::P521),
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

fn rsa_pair(pkcs1: &[u8]) -> Result<SigningKeyPair, Error> {
    RsaKeyPair::from_der(pkcs1)
        .map(SigningKeyPair::Rsa)
        .map_err(|_| match rsa_bits(pkcs1) {
            Ok(2048..=8192) | Err(_) => wrong("is an RSA key that is damaged"),
            Ok(bits) => wrong(&rsa_size(bits)),
        })
}

/// The size of the modulus, the number after the version (RFC 8017 §A.1.2).
fn rsa_bits(pkcs1: &[u8]) -> der::Result<usize> {
    let mut reader = SliceReader::new(pkcs1)?;
    reader.sequence(|fields| {
        fields.decode::<u8>()?;
        let modulus: UintRef<'_> = fields.decode()?;
        let bytes = modulus.as_bytes();
        let unused = bytes
            .first()
            .map_or(0, |first| first.leading_zeros() as usize);
        while !fields.is_finished() {
            fields.decode::<der::asn1::AnyRef<'_>>()?;
        }
        Ok(bytes.len() * 8 - unused)
    })
}

fn ec_pair(der: &[u8]) -> Result<SigningKeyPair, Error> {
    let read = |curve| EcdsaKeyPair::from_private_key_der(curve, der).ok();
    read(&P256)
        .map(SigningKeyPair::P256)
        .or_else(|| read(&P384).map(SigningKeyPair::P384))
        .or_else(|| read(&P521).map(SigningKeyPair::P521))
        .ok_or_else(|| {
            wrong("is an EC key on another curve than P-256, P-384 and P-521, or is damaged")
        })
}

/// The name of a kind of key that cannot sign here, or its number.
fn kind_of(oid: ObjectIdentifier) -> String {
    let known = OTHER_KINDS.iter().find(|(number, _)| *number == oid);
    known.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned())
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const OTHER_KINDS: [(ObjectIdentifier, &str); 6] = [
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        "RSA for PSS only",
    ),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.3.1"), "DH"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "X25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), "X448"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
];

/// The marker byte of a point in uncompressed form.
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::*;

    fn public_bytes(pair: &SigningKeyPair) -> Vec<u8> {
        match pair {
            SigningKeyPair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            SigningKeyPair::P256(pair)
            | SigningKeyPair::P384(pair)
            | SigningKeyPair::P521(pair) => pair.public_key().as_ref().to_vec(),
            SigningKeyPair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    #[test]
    fn each_algorithm_signs_as_its_name_says() {
        let rsa = SigningKeyPair::generate(Algorithm::Ps256).unwrap();
        let verifiers: [(Algorithm, &'static dyn VerificationAlgorithm); 10] = [
            (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
            (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
            (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED),
            (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED),
            (Algorithm::EdDsa, &ED25519),
        ];
        for (algorithm, verifier) in verifiers {
            let other;
            let pair = match rsa.algorithms().contains(&algorithm) {
                true => &rsa,
                false => {
                    other = SigningKeyPair::generate(algorithm).unwrap();
                    &other
                }
            };
            let signature = pair.sign(algorithm, b"message").unwrap();
            let public = UnparsedPublicKey::new(verifier, public_bytes(pair));
            public.verify(b"message", &signature).unwrap();
            assert!(pair.algorithms().contains(&algorithm));
            assert_eq!(Algorithm::parse(algorithm.name()).unwrap(), algorithm);
        }
    }
}
