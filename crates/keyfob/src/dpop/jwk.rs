//! A private key as a JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The members that make a private key; which of them there are depends on its kind.
#[derive(Deserialize)]
#[serde(tag = "kty")]
pub(super) enum PrivateJwk {
    #[serde(rename = "EC")]
    Ec {
        crv: String,
        x: String,
        y: String,
        d: Number,
    },
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String, d: Number },
    #[serde(rename = "RSA")]
    Rsa(Box<Rsa>),
}

#[derive(Deserialize)]
pub(super) struct Rsa {
    n: String,
    e: String,
    d: Number,
    p: Number,
    q: Number,
    dp: Number,
    dq: Number,
    qi: Number,
}

/// A secret number in base64url.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Number(Zeroizing<String>);

impl From<String> for Number {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Number {
    fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        decode(&self.0).map(Zeroizing::new)
    }
}

impl PrivateJwk {
    pub(super) fn ecdsa(
        &self,
        algorithm: &'static EcdsaSigningAlgorithm,
        curve: &str,
    ) -> Option<EcdsaKeyPair> {
        let Self::Ec { crv, x, y, d } = self else {
            return None;
        };
        if crv != curve {
            return None;
        }
        let point = [vec![UNCOMPRESSED], decode(x)?, decode(y)?].concat();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d.decode()?, &point).ok()
    }

    pub(super) fn ed25519(&self) -> Option<Ed25519KeyPair> {
        let Self::Okp { crv, x, d } = self else {
            return None;
        };
        if crv != "Ed25519" {
            return None;
        }
        Ed25519KeyPair::from_seed_and_public_key(&d.decode()?, &decode(x)?).ok()
    }

    pub(super) fn rsa(&self) -> Option<RsaKeyPair> {
        let Self::Rsa(rsa) = self else {
            return None;
        };
        let components = KeyPairComponents {
            public_key: RsaPublicKeyComponents {
                n: decode(&rsa.n)?,
                e: decode(&rsa.e)?,
            },
            d: rsa.d.decode()?,
            p: rsa.p.decode()?,
            q: rsa.q.decode()?,
            dP: rsa.dp.decode()?,
            dQ: rsa.dq.decode()?,
            qInv: rsa.qi.decode()?,
        };
        RsaKeyPair::from_components(&components).ok()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// How a point begins whose coordinates follow in full (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;
