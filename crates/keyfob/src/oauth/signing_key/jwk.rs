//! Private keys in JSON form: a JWK, or one of a set of them (RFC 7517).

use huskarl_core::jwk::{Jwk, Jwks, Key, KeyUse};
use serde::Deserialize;

use crate::error::error::Error;
use crate::error::shown_name::shown_name;
use crate::token::json::FromObject;

/// Reads a JWK, or the key of a set that has this id.
pub(super) fn read(json: &[u8], key_id: Option<&str>) -> Result<Jwk, Error> {
    #[derive(Deserialize)]
    struct Set {
        #[expect(dead_code, reason = "its presence tells a set from a key")]
        keys: serde::de::IgnoredAny,
    }

    /// A key file, such as one of Google, which people give in place of a JWK.
    #[derive(Deserialize)]
    struct KeyFile {
        #[expect(dead_code, reason = "its presence tells a key file from a key")]
        private_key: serde::de::IgnoredAny,
        kty: Option<serde::de::IgnoredAny>,
    }

    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    // The errors of serde_json are dropped, because they may quote the key.
    if serde_json::from_slice::<FromObject<Set>>(json).is_ok() {
        let FromObject(set): FromObject<Jwks> = serde_json::from_slice(json)
            .map_err(|_| wrong("is a set of keys whose `keys` is not a list"))?;
        return select(set, key_id);
    }
    let key = serde_json::from_slice(json).map(|FromObject(key)| key);
    key.map_err(|fault| {
        let holds_pem = serde_json::from_slice::<FromObject<KeyFile>>(json)
            .is_ok_and(|FromObject(file)| file.kty.is_none());
        wrong(match fault.is_data() {
            true if holds_pem => {
                "is JSON with a PEM in `private_key`, such as a key file of Google; give that PEM, or in a profile use the \
                 preset `gcp_service_account`"
            }
            true => "is not a JWK: a field is missing, has the wrong type, or is not base64url (RFC 7517)",
            false => "is not valid JSON",
        })
    })
}

/// Chooses a key for signing: one with this id, or else the only private one.
fn select(set: Jwks, key_id: Option<&str>) -> Result<Jwk, Error> {
    let signs = |key: &Jwk| key.private_key().is_some() && key.key_use != Some(KeyUse::Encrypt);
    if let Some(id) = key_id {
        let mut keys = set.keys;
        keys.retain(|key| key.kid.as_deref() == Some(id));
        // Several may have it (RFC 7517 §4.5). One that cannot sign says why.
        let chosen = keys.iter().position(signs).unwrap_or_default();
        return keys.into_iter().nth(chosen).ok_or_else(|| {
            let id = shown_name(id);
            wrong(&format!(
                "is a set of keys, and none of them has the `kid` {id}"
            ))
        });
    }
    let mut keys = set.keys.into_iter().filter(signs);
    match (keys.next(), keys.count()) {
        (Some(key), 0) => Ok(key),
        (None, _) => Err(wrong(
            "is a set of keys, and none of them is a private key for signing",
        )),
        (Some(_), others) => Err(wrong(&format!(
            "is one of {} private keys in a set; choose one by its `kid`, in a profile with `key_id`",
            others + 1
        ))),
    }
}

/// Why a JWK has no private key that can sign here.
pub(super) fn unusable(jwk: &Jwk) -> Error {
    let curve = |name: &str| {
        wrong(&format!(
            "is on the curve {}; give P-256, P-384, P-521 or Ed25519",
            shown_name(name)
        ))
    };
    match &jwk.key {
        Key::Rsa(key) if key.d.is_some() => match rsa_number(&key.public.n).len() * 8 {
            bits @ 2048..=8192 => {
                let has_primes = [&key.p, &key.q, &key.dp, &key.dq, &key.qi]
                    .iter()
                    .all(|part| part.is_some());
                wrong(&match has_primes {
                    true => format!("is an RSA key of {bits} bits whose numbers do not belong together"),
                    false => "is an RSA key without all of `p`, `q`, `dp`, `dq` and `qi`, which signing needs".to_owned(),
                })
            }
            bits => wrong(&rsa_size(bits)),
        },
        Key::Ec(key) if key.d.is_some() => match &*key.public.crv {
            "P-256" | "P-384" | "P-521" => {
                wrong("is an EC key whose numbers do not belong together")
            }
            other => curve(other),
        },
        Key::Okp(key) if key.d.is_some() => match &*key.public.crv {
            "Ed25519" => wrong("is an Ed25519 key whose numbers do not belong together"),
            other => curve(other),
        },
        Key::Rsa(_) | Key::Ec(_) | Key::Okp(_) => {
            wrong("is a public key: it has no `d`; give the private key that belongs to it")
        }
        Key::Oct(_) => wrong(
            "is a symmetric key (`oct`), which the server would have to share; give RSA, EC or OKP",
        ),
        _ => wrong("has a `kty` that is not known; give RSA, EC or OKP"),
    }
}

/// A number of an RSA key. Java writes a zero byte first, which says that the number is not negative.
pub(super) fn rsa_number(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

pub(super) fn rsa_size(bits: usize) -> String {
    format!("is an RSA key of {bits} bits; it must have 2048 to 8192 (RFC 7518 §3.3)")
}

/// The error for a key that cannot be used; the text follows its name.
pub(super) fn wrong(what: &str) -> Error {
    Error::input(format!("the signing key {what}"))
}
