//! The formats of private keys.

use aws_lc_rs::encoding::{
    AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der,
};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use aws_lc_rs::{rsa, signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::ErrorKind;
use keyfob::oauth::{Algorithm, SigningKey};
use keyfob_testkit::json;
use serde_json::Value;

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn rsa_pkcs8() -> Vec<u8> {
    let pair = RsaKeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)
        .unwrap()
        .as_ref()
        .to_vec()
}

/// The elements of a DER structure whose head begins here (X.690 §8.1), each with its tag.
fn elements(der: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    let mut rest = der;
    while let [tag, length, ..] = *rest {
        let (head, length) = match length {
            0..=0x7f => (2, usize::from(length)),
            long => {
                let count = usize::from(long & 0x7f);
                let bytes = &rest[2..2 + count];
                (
                    2 + count,
                    bytes
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                )
            }
        };
        found.push((tag, &rest[head..head + length]));
        rest = &rest[head + length..];
    }
    found
}

/// PKCS#8 contains the older format of an RSA key as its third element (RFC 5208 §5).
fn pkcs1_of(pkcs8: &[u8]) -> Vec<u8> {
    elements(elements(pkcs8)[0].1)[2].1.to_vec()
}

#[test]
fn rsa_keys_are_read_in_both_forms_of_pem() {
    let pkcs8 = rsa_pkcs8();
    let new = SigningKey::from_pem(pem("PRIVATE KEY", &pkcs8)).unwrap();
    let old = SigningKey::from_pem(pem("RSA PRIVATE KEY", &pkcs1_of(&pkcs8))).unwrap();
    assert_eq!(new.signs_as(), Algorithm::Rs256);
    assert_eq!(new.public_jwk(), old.public_jwk());
    let rs384 = new.algorithm(Algorithm::Rs384).unwrap();
    assert_eq!(rs384.signs_as(), Algorithm::Rs384);
}

#[test]
fn keys_on_curves_are_read_in_both_forms_of_pem_and_as_jwk() {
    for (curve, name, algorithm) in [
        (
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-256",
            Algorithm::Es256,
        ),
        (
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            "P-384",
            Algorithm::Es384,
        ),
    ] {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        let new = pair.to_pkcs8v1().unwrap();
        let private = pair.private_key();
        let old = AsDer::<EcPrivateKeyRfc5915Der<'_>>::as_der(&private).unwrap();
        let new = SigningKey::from_pem(pem("PRIVATE KEY", new.as_ref())).unwrap();
        let old = SigningKey::from_pem(pem("EC PRIVATE KEY", old.as_ref())).unwrap();
        assert_eq!(new.signs_as(), algorithm);
        assert_eq!(new.public_jwk(), old.public_jwk());

        let mut jwk: Value = serde_json::from_str(&new.public_jwk()).unwrap();
        assert_eq!(jwk["crv"], name);
        let scalar = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&private).unwrap();
        jwk["d"] = URL_SAFE_NO_PAD.encode(scalar.as_ref()).into();
        jwk["kid"] = "k1".into();
        let read = SigningKey::from_jwk(jwk.to_string()).unwrap();
        assert_eq!(read.public_jwk(), new.key_id("k1").public_jwk());
    }
}

#[test]
fn ed25519_keys_are_read_as_pem_and_as_jwk() {
    let pair = Ed25519KeyPair::generate().unwrap();
    // With and without the public key (RFC 8410 §7): `openssl genpkey` omits it.
    let with = pair.to_pkcs8().unwrap();
    let without = pair.to_pkcs8v1().unwrap();
    let key = SigningKey::from_pem(pem("PRIVATE KEY", with.as_ref())).unwrap();
    let same = SigningKey::from_pem(pem("PRIVATE KEY", without.as_ref())).unwrap();
    assert_eq!(key.signs_as(), Algorithm::EdDsa);
    assert_eq!(key.public_jwk(), same.public_jwk());

    let mut jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let seed = pair.seed().unwrap();
    let seed = AsBigEndian::<Curve25519SeedBin<'_>>::as_be_bytes(&seed).unwrap();
    jwk["d"] = URL_SAFE_NO_PAD.encode(seed.as_ref()).into();
    let read = SigningKey::from_jwk(jwk.to_string()).unwrap();
    assert_eq!(read.public_jwk(), key.public_jwk());
}

#[test]
fn an_rsa_key_is_read_as_jwk_with_its_algorithm() {
    let pkcs8 = rsa_pkcs8();
    let pkcs1 = pkcs1_of(&pkcs8);
    // RFC 8017 §A.1.2: the version, then these numbers.
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let integers = &elements(elements(&pkcs1)[0].1)[1..];
    let mut jwk = json!({"kty": "RSA", "alg": "RS384", "kid": "2026"});
    for (name, (_, integer)) in names.iter().zip(integers) {
        let without_sign = integer.strip_prefix(&[0]).unwrap_or(integer);
        jwk[*name] = URL_SAFE_NO_PAD.encode(without_sign).into();
    }
    let read = SigningKey::from_jwk(jwk.to_string()).unwrap();
    assert_eq!(read.signs_as(), Algorithm::Rs384);
    let same = SigningKey::from_pem(pem("PRIVATE KEY", &pkcs8)).unwrap();
    let same = same.algorithm(Algorithm::Rs384).unwrap().key_id("2026");
    assert_eq!(read.public_jwk(), same.public_jwk());
}

#[test]
fn s1_an_unusable_key_is_an_error_that_does_not_quote_it() {
    let public = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    let wrong_alg =
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "RS256", "x": "AA", "d": "SECRET"});
    for refused in [
        SigningKey::from_pem("SECRET"),
        SigningKey::from_pem(pem("PRIVATE KEY", b"SECRET")),
        SigningKey::from_pem(pem("ENCRYPTED PRIVATE KEY", b"SECRET")),
        SigningKey::from_pem(pem("CERTIFICATE", b"SECRET")),
        SigningKey::from_jwk("SECRET"),
        SigningKey::from_jwk(public),
        SigningKey::from_jwk(wrong_alg.to_string()),
        SigningKey::from_jwk(json!({"kty": "oct", "k": "U0VDUkVU"}).to_string()),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let texts = format!("{error} {error:?}");
        assert!(
            !texts.contains("SECRET") && !texts.contains("U0VDUkVU"),
            "{texts}"
        );
    }
}

#[test]
fn a_key_signs_only_as_its_kind_does() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    for other in [Algorithm::Rs256, Algorithm::Es384, Algorithm::EdDsa] {
        let error = key.clone().algorithm(other).unwrap_err();
        assert!(error.to_string().contains(other.name()), "{error}");
    }
}
