//! A key pair of a platform or of one of its clients.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key pair: the private key for the client's file, and the public key that checks its signatures.
///
/// The same type is the key of a platform that signs tokens itself. Clones are the same key.
///
/// ```
/// use keyfob_testkit::json;
/// use keyfob_testkit::platforms::PlatformKey;
///
/// let key = PlatformKey::p256("key-1");
/// let jwt = key.sign(&json!({}), &json!({"iss": "https://issuer.example"}));
/// assert_eq!(jwt.split('.').count(), 3);
/// assert!(key.private_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
/// ```
#[derive(Clone)]
pub struct PlatformKey {
    id: Arc<str>,
    pair: Arc<Pair>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
}

impl PlatformKey {
    /// Generates an RSA key of 2048 bits with this key id.
    ///
    /// # Panics
    ///
    /// If the system gives no random numbers.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("random numbers");
        Self::new(id, Pair::Rsa(Box::new(pair)))
    }

    /// Generates a key on the curve P-256 with this key id.
    ///
    /// # Panics
    ///
    /// If the system gives no random numbers.
    #[must_use]
    pub fn p256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::new(id, Pair::P256(pair.expect("random numbers")))
    }

    fn new(id: &str, pair: Pair) -> Self {
        Self {
            id: id.into(),
            pair: Arc::new(pair),
        }
    }

    /// The key id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The private key in the form PKCS#8.
    #[must_use]
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8())
    }

    /// The private key in the form PKCS#1, which only RSA keys have.
    ///
    /// # Panics
    ///
    /// If it is a key on a curve.
    #[must_use]
    pub fn private_pkcs1_pem(&self) -> String {
        assert!(
            matches!(*self.pair, Pair::Rsa(_)),
            "only RSA keys have the form PKCS#1"
        );
        // RFC 5208 §5: sequence, version, algorithm and the head of the octet string are 26 bytes with a key of 2048 bits.
        pem("RSA PRIVATE KEY", &self.pkcs8()[26..])
    }

    /// The public key as `SubjectPublicKeyInfo`, in the form DER.
    ///
    /// # Panics
    ///
    /// Never: a generated key has this form.
    #[must_use]
    pub fn public_der(&self) -> Vec<u8> {
        let der = match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::P256(pair) => pair.public_key().as_der(),
        };
        der.expect("a generated key").as_ref().to_vec()
    }

    /// Signs a JWT with these claims. `alg`, `kid` and `typ` are in its head, unless `head` has others; null removes one.
    ///
    /// # Panics
    ///
    /// If `head` is not an object.
    #[must_use]
    pub fn sign(&self, head: &Value, claims: &Value) -> String {
        let mut whole = json!({"alg": self.algorithm(), "kid": self.id(), "typ": "JWT"});
        let members = whole.as_object_mut().expect("an object");
        members.extend(head.as_object().expect("an object").clone());
        members.retain(|_, value| !value.is_null());
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&whole), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Whether this is the signature of the message, with the algorithm of this name (RFC 7518 §3.1).
    pub(crate) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let Some(verification) = self.verification(algorithm) else {
            return false;
        };
        let public = match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) => pair.public_key().as_ref(),
        };
        let public = UnparsedPublicKey::new(verification, public);
        public.verify(message, signature).is_ok()
    }

    fn verification(&self, algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (&*self.pair, algorithm) {
            (Pair::Rsa(_), "RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Pair::Rsa(_), "RS384") => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Pair::Rsa(_), "RS512") => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Pair::Rsa(_), "PS256") => &signature::RSA_PSS_2048_8192_SHA256,
            (Pair::Rsa(_), "PS384") => &signature::RSA_PSS_2048_8192_SHA384,
            (Pair::Rsa(_), "PS512") => &signature::RSA_PSS_2048_8192_SHA512,
            (Pair::P256(_), "ES256") => &signature::ECDSA_P256_SHA256_FIXED,
            _ => return None,
        })
    }

    fn algorithm(&self) -> &'static str {
        match &*self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("random numbers");
                signature
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).expect("random numbers");
                signature.as_ref().to_vec()
            }
        }
    }

    fn pkcs8(&self) -> Vec<u8> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair);
                der.expect("a generated key").as_ref().to_vec()
            }
            Pair::P256(pair) => {
                let der = pair.to_pkcs8v1().expect("a generated key");
                der.as_ref().to_vec()
            }
        }
    }
}

impl fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
