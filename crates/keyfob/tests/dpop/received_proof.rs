//! A proof as a server reads it (RFC 9449 §4.3), with another library than the one that signed it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use ring::{digest, signature};
use serde_json::Value;

/// A proof with a valid signature.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) algorithm: String,
    pub(crate) jwk: Value,
    pub(crate) claims: Value,
}

impl Proof {
    /// Reads and verifies the value of a `DPoP` header.
    pub(crate) fn verified(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let [head, claims, signature] = parts.as_slice() else {
            return Err("it has not three parts".to_owned());
        };
        let head_json = json(head)?;
        let members: Vec<_> = head_json.as_object().ok_or("no object")?.keys().collect();
        if members != ["alg", "jwk", "typ"] || head_json["typ"] != "dpop+jwt" {
            return Err(format!("the head is {head_json}"));
        }
        let message = format!("{head}.{claims}");
        let jwk = &head_json["jwk"];
        if jwk.get("d").is_some() {
            return Err("it gives the private key away".to_owned());
        }
        let algorithm = head_json["alg"].as_str().ok_or("no alg")?;
        let holds = verify(algorithm, jwk, message.as_bytes(), &bytes(signature)?)?;
        if !holds {
            return Err("the signature does not hold".to_owned());
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            jwk: jwk.clone(),
            claims: json(claims)?,
        })
    }

    pub(crate) fn claim(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_default()
    }

    /// The thumbprint of the key: a hash of its required members in order (RFC 7638 §3.2).
    pub(crate) fn thumbprint(&self) -> String {
        let names: &[&str] = match self.jwk["kty"].as_str() {
            Some("EC") => &["crv", "kty", "x", "y"],
            Some("OKP") => &["crv", "kty", "x"],
            _ => &["e", "kty", "n"],
        };
        let members: Vec<String> = names
            .iter()
            .map(|name| format!("\"{name}\":{}", self.jwk[name]))
            .collect();
        hash(&format!("{{{}}}", members.join(",")))
    }
}

/// SHA-256 in base64url.
pub(crate) fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn verify(algorithm: &str, jwk: &Value, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    let part = |name: &str| bytes(jwk[name].as_str().unwrap_or_default());
    let kind = (algorithm, &jwk["kty"], &jwk["crv"]);
    let curve: &dyn VerificationAlgorithm = match kind.0 {
        "ES256" if kind.2 == "P-256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" if kind.2 == "P-384" => &signature::ECDSA_P384_SHA384_FIXED,
        "EdDSA" if kind.2 == "Ed25519" => {
            let key = UnparsedPublicKey::new(&signature::ED25519, part("x")?);
            return Ok(key.verify(message, signature).is_ok());
        }
        "RS256" if kind.1 == "RSA" => {
            let (n, e) = (part("n")?, part("e")?);
            let key = RsaPublicKeyComponents { n, e };
            let parameters = &signature::RSA_PKCS1_2048_8192_SHA256;
            return Ok(key.verify(parameters, message, signature).is_ok());
        }
        _ => return Err(format!("{kind:?} do not belong together")),
    };
    let point = [vec![4], part("x")?, part("y")?].concat();
    let key = UnparsedPublicKey::new(curve, point);
    Ok(key.verify(message, signature).is_ok())
}

fn json(part: &str) -> Result<Value, String> {
    serde_json::from_slice(&bytes(part)?).map_err(|error| error.to_string())
}

fn bytes(part: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|error| error.to_string())
}
