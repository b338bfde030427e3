//! Each kind of key in each format signs proofs that another library verifies.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method};
use keyfob::ErrorKind;
use keyfob::custom_client::Authenticator;
use keyfob::oauth::{Algorithm, DpopProver, SigningKey};
use keyfob::origin::Origins;
use keyfob_testkit::ManualClock;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};

use crate::received_proof::{Proof, hash};
use crate::resource_server::{bound, fixed};

/// A key that only these tests use.
const RSA: &str = include_str!("rsa-of-the-tests.pem");

/// The bytes before the seed in a PKCS #8 document (RFC 8410 §7).
const ED25519_PKCS8: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A verified proof that was signed with this key.
fn signed_with(key: &SigningKey) -> Proof {
    let tokens = fixed(bound("t0ken"), &ManualClock::default());
    let authenticator =
        Authenticator::new(tokens, Origins::default()).dpop(DpopProver::new(key.clone()));
    let lease = authenticator.tokens().ready().unwrap();
    let mut headers = HeaderMap::new();
    let url = || "https://API.example.com:443/a?b#c";
    let credential = authenticator.credential(&lease, &Method::PUT, url);
    credential.unwrap().apply(&mut headers);
    assert!(headers["dpop"].is_sensitive());
    assert_eq!(headers["authorization"], "DPoP t0ken");
    let proof = Proof::verified(headers["dpop"].to_str().unwrap()).unwrap();
    assert_eq!(proof.claim("htm"), "PUT");
    assert_eq!(proof.claim("htu"), "https://api.example.com/a");
    assert_eq!(proof.claim("ath"), hash("t0ken"));
    assert_eq!(proof.algorithm, key.signs_as().name());
    assert_eq!(proof.thumbprint(), key.thumbprint());
    proof
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn a_generated_key_signs_with_es256() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    assert_eq!(signed_with(&key).algorithm, "ES256");
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    assert_ne!(key.thumbprint(), other.thumbprint());
    // A proof contains the public key, and not its other attributes.
    let named = signed_with(&key.clone().key_id("2026-11"));
    let members: Vec<_> = named.jwk.as_object().unwrap().keys().collect();
    assert_eq!(members, ["crv", "kty", "x", "y"]);
}

#[test]
fn keys_on_both_curves_are_read_from_pem_and_jwk() {
    for (algorithm, curve, name) in [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", "ES256"),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384"),
    ] {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let key = SigningKey::from_pem(pem("PRIVATE KEY", document.as_ref())).unwrap();
        let proof = signed_with(&key);
        assert_eq!(proof.algorithm, name);
        let sec1 = octet_string(document.as_ref());
        let jwk = format!(
            r#"{{"kty":"EC","crv":"{curve}","x":{},"y":{},"d":"{}","use":"sig"}}"#,
            proof.jwk["x"],
            proof.jwk["y"],
            URL_SAFE_NO_PAD.encode(private_number(sec1)),
        );
        for same in [
            SigningKey::from_pem(sec1_pem(sec1, name)),
            SigningKey::from_jwk(jwk),
        ] {
            assert_eq!(signed_with(&same.unwrap()).jwk, proof.jwk);
        }
    }
}

/// The key of RFC 8037, appendix A, which also has its thumbprint.
#[test]
fn an_ed25519_key_is_read_from_jwk_and_pem() {
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{seed}","x":"{x}"}}"#);
    let key = SigningKey::from_jwk(jwk).unwrap();
    assert_eq!(
        key.thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    assert_eq!(signed_with(&key).algorithm, "EdDSA");
    let seed = URL_SAFE_NO_PAD.decode(seed).unwrap();
    let document = [ED25519_PKCS8, &seed].concat();
    let same = SigningKey::from_pem(pem("PRIVATE KEY", &document)).unwrap();
    assert_eq!(same.thumbprint(), key.thumbprint());
    let another = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let another = SigningKey::from_pem(pem("PRIVATE KEY", another.as_ref())).unwrap();
    signed_with(&another);
}

#[test]
fn an_rsa_key_is_read_from_pem_and_jwk() {
    let pkcs8 = STANDARD.decode(lines_of(RSA)).unwrap();
    let key = SigningKey::from_pem(RSA).unwrap();
    assert_eq!(signed_with(&key).algorithm, "RS256");
    let pkcs1 = octet_string(&pkcs8);
    let same = SigningKey::from_pem(pem("RSA PRIVATE KEY", pkcs1)).unwrap();
    assert_eq!(same.thumbprint(), key.thumbprint());
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let numbers = integers(pkcs1).into_iter().skip(1);
    let members: Vec<String> = names
        .iter()
        .zip(numbers)
        .map(|(name, number)| format!("\"{name}\":\"{}\"", URL_SAFE_NO_PAD.encode(number)))
        .collect();
    let jwk = format!("{{\"kty\":\"RSA\",{}}}", members.join(","));
    let same = SigningKey::from_jwk(jwk).unwrap();
    assert_eq!(signed_with(&same).jwk, signed_with(&key).jwk);
}

#[test]
fn an_unusable_key_is_an_error_that_does_not_quote_it() {
    let small = "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nU0VDUkVU\n-----END PUBLIC KEY-----\n";
    for text in ["", "SECRET", small, public] {
        let error = SigningKey::from_pem(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let text = format!("{error} {error:?}");
        assert!(!text.contains("SECRET") && !text.contains("U0VD"), "{text}");
    }
    let (x, d) = ("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "U0VDUkVU");
    for jwk in [
        String::new(),
        "{}".to_owned(),
        r#"{"kty":"oct","k":"U0VDUkVU"}"#.to_owned(),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{d}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}","d":"{x}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","d":"{x}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-521","x":"{x}","y":"{x}","d":"{x}"}}"#),
    ] {
        let error = SigningKey::from_jwk(&jwk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{jwk}");
        assert!(!format!("{error} {error:?}").contains(d));
    }
}

#[test]
fn s1_debug_of_a_key_and_its_prover_shows_only_the_public_part() {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let key = SigningKey::from_pem(pem("PRIVATE KEY", der.as_ref())).unwrap();
    let shown = format!("{key:?} {:?}", DpopProver::new(key.clone()));
    assert!(shown.contains("Es256"), "{shown}");
    let private = private_number(octet_string(der.as_ref()));
    let hex: String = private.iter().map(|byte| format!("{byte:02x}")).collect();
    let listed = format!("{private:?}");
    let listed = listed.trim_matches(['[', ']']);
    for text in [&URL_SAFE_NO_PAD.encode(private), &hex, listed] {
        assert!(!shown.contains(text), "{shown}");
    }
}

/// The number in an `ECPrivateKey` (RFC 5915 §3).
fn private_number(sec1: &[u8]) -> &[u8] {
    let (_, sequence, _) = element(sec1);
    let (_, _version, rest) = element(sequence);
    element(rest).1
}

/// The same with its curve, as a file that has only this key has it.
fn sec1_pem(sec1: &[u8], algorithm: &str) -> String {
    let curve: &[u8] = match algorithm {
        "ES256" => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        _ => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
    };
    let private = private_number(sec1);
    let tagged = |tag: u8, contents: &[u8]| {
        let length = u8::try_from(contents.len()).unwrap();
        [&[tag, length], contents].concat()
    };
    let contents = [
        tagged(0x02, &[1]),
        tagged(0x04, private),
        tagged(0xa0, curve),
    ];
    pem("EC PRIVATE KEY", &tagged(0x30, &contents.concat()))
}

/// The text of a PEM document between its first and its last line.
fn lines_of(pem: &str) -> String {
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    lines.collect()
}

/// The contents of the last element of a PKCS #8 document, which is the key.
fn octet_string(pkcs8: &[u8]) -> &[u8] {
    let (_, sequence, _) = element(pkcs8);
    let (_, _version, rest) = element(sequence);
    let (_, _algorithm, rest) = element(rest);
    element(rest).1
}

/// The numbers in a sequence, without the zero that keeps them positive.
fn integers(sequence: &[u8]) -> Vec<&[u8]> {
    let (_, mut rest, _) = element(sequence);
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (_, number, after) = element(rest);
        numbers.push(number.strip_prefix(&[0]).unwrap_or(number));
        rest = after;
    }
    numbers
}

/// The tag and the contents of a DER element, and the bytes after it (X.690 §8.1).
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, start) = match usize::from(der[1]) {
        short @ 0..=127 => (short, 2),
        long => {
            let count = long - 128;
            let bytes = &der[2..2 + count];
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, 2 + count)
        }
    };
    (der[0], &der[start..start + length], &der[start + length..])
}
