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
    // Some programs write the wrong label.
    for (label, der) in [
        ("RSA PRIVATE KEY", pkcs8.clone()),
        ("PRIVATE KEY", pkcs1_of(&pkcs8)),
    ] {
        let mislabelled = SigningKey::from_pem(pem(label, &der)).unwrap();
        assert_eq!(mislabelled.public_jwk(), new.public_jwk(), "{label}");
    }
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

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("keys/", $name, ".pem"))
    };
}

#[test]
fn a_pem_is_read_as_variables_and_editors_leave_it() {
    let plain = SigningKey::from_pem(key!("p256")).unwrap();
    let text = key!("p256");
    for changed in [
        text.replace('\n', "\\n"),
        text.replace('\n', "\\r\\n"),
        format!("\"{}\"", text.replace('\n', "\\n")),
        text.replace('\n', "\r\n"),
        text.replace('\n', " "),
        text.replace('\n', "\n    "),
        format!("\u{feff}{text}"),
        format!("Bag Attributes\n    friendlyName: x\n{text}"),
        format!("{}{text}", pem("CERTIFICATE", b"x")),
        format!("{}{text}", pem("EC PARAMETERS", b"x")),
    ] {
        let key =
            SigningKey::from_pem(&changed).unwrap_or_else(|error| panic!("{changed:?}: {error}"));
        assert_eq!(key.public_jwk(), plain.public_jwk());
    }
}

#[test]
fn a_p521_key_is_read_in_each_form_and_signs_as_es512() {
    let key = SigningKey::from_pem(key!("p521")).unwrap();
    assert_eq!(key.signs_as(), Algorithm::Es512);
    let old = SigningKey::from_pem(key!("p521-sec1")).unwrap();
    assert_eq!(old.public_jwk(), key.public_jwk());
    assert!(key.public_jwk().contains("P-521"));
}

#[test]
fn an_encrypted_key_is_read_with_its_passphrase() {
    let plain = SigningKey::from_pem(key!("p256")).unwrap();
    for encrypted in [
        key!("p256-encrypted"),
        key!("p256-encrypted-scrypt"),
        key!("p256"),
    ] {
        let key = SigningKey::from_encrypted_pem(encrypted, "correct-horse").unwrap();
        assert_eq!(key.public_jwk(), plain.public_jwk());
    }
    let wrong = SigningKey::from_encrypted_pem(key!("p256-encrypted"), "wrong-horse").unwrap_err();
    assert!(wrong.to_string().contains("passphrase is wrong"), "{wrong}");
    assert!(!format!("{wrong:?}").contains("horse"), "{wrong:?}");
}

#[test]
fn an_rsa_jwk_signs_with_the_algorithm_that_it_names() {
    for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let mut jwk = rsa_jwk();
        jwk["alg"] = name.into();
        let key = SigningKey::from_jwk(format!("\u{feff}{jwk}")).unwrap();
        assert_eq!(key.signs_as().name(), name);
    }
}

#[test]
fn the_numbers_of_an_rsa_jwk_may_begin_with_zeros() {
    let plain = rsa_jwk();
    let mut padded = plain.clone();
    for (name, value) in padded.as_object_mut().unwrap() {
        if name != "kty" {
            let number = URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
            *value = URL_SAFE_NO_PAD.encode([&[0][..], &number].concat()).into();
        }
    }
    let read = |jwk: &Value| SigningKey::from_jwk(jwk.to_string()).unwrap().public_jwk();
    assert_eq!(read(&padded), read(&plain));
    // The size in an error is that of the number.
    let other: Value =
        serde_json::from_str(&SigningKey::generate(Algorithm::Rs256).unwrap().public_jwk())
            .unwrap();
    padded["n"] = other["n"].clone();
    let number = URL_SAFE_NO_PAD
        .decode(padded["n"].as_str().unwrap())
        .unwrap();
    padded["n"] = URL_SAFE_NO_PAD.encode([&[0][..], &number].concat()).into();
    let error = SigningKey::from_jwk(padded.to_string()).unwrap_err();
    assert!(error.to_string().contains("of 2048 bits"), "{error}");
}

fn rsa_jwk() -> Value {
    let pkcs1 = pkcs1_of(&rsa_pkcs8());
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let integers = &elements(elements(&pkcs1)[0].1)[1..];
    let mut jwk = json!({"kty": "RSA"});
    for (name, (_, integer)) in names.iter().zip(integers) {
        let without_sign = integer.strip_prefix(&[0]).unwrap_or(integer);
        jwk[*name] = URL_SAFE_NO_PAD.encode(without_sign).into();
    }
    jwk
}

fn ec_jwk(kid: &str) -> Value {
    let key = SigningKey::from_pem(key!("p256")).unwrap().key_id(kid);
    let mut jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let der = STANDARD.decode(
        key!("p256")
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect::<String>(),
    );
    // The private number of 32 bytes follows its head in the DER form.
    let der = der.unwrap();
    let at = der
        .windows(5)
        .position(|head| head == [2, 1, 1, 4, 32])
        .unwrap()
        + 5;
    jwk["d"] = URL_SAFE_NO_PAD.encode(&der[at..at + 32]).into();
    jwk
}

#[test]
fn a_key_is_chosen_from_a_set_by_its_id_or_because_it_is_the_only_one() {
    let public = SigningKey::generate(Algorithm::Es256)
        .unwrap()
        .key_id("public")
        .public_jwk();
    let public: Value = serde_json::from_str(&public).unwrap();
    let one =
        json!({"keys": [public, ec_jwk("b"), {"kty": "new"}, {"kty": "RSA", "n": 1}]}).to_string();
    let key = SigningKey::from_jwk(&one).unwrap();
    assert!(key.public_jwk().contains(r#""kid":"b""#));
    let two = json!({"keys": [rsa_jwk(), ec_jwk("b"), ec_jwk("c")]}).to_string();
    let key = SigningKey::from_jwk_set(&two, "c").unwrap();
    assert!(key.public_jwk().contains(r#""kid":"c""#));
    for (result, reason) in [
        (SigningKey::from_jwk(&two), "one of 3 private keys"),
        (SigningKey::from_jwk_set(&two, "z"), "the `kid` z"),
        (SigningKey::from_jwk_set(&one, "public"), "is a public key"),
        (
            SigningKey::from_jwk(json!({"keys": [public]}).to_string()),
            "none of them is a private key",
        ),
        (
            SigningKey::from_jwk(json!({"keys": 1}).to_string()),
            "not a list",
        ),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn of_the_keys_with_one_id_the_first_that_can_sign_is_chosen() {
    let public = SigningKey::generate(Algorithm::Es256)
        .unwrap()
        .key_id("a")
        .public_jwk();
    let public: Value = serde_json::from_str(&public).unwrap();
    let (mut signs, mut encrypts) = (ec_jwk("a"), rsa_jwk());
    signs["use"] = "sig".into();
    encrypts["use"] = "enc".into();
    encrypts["kid"] = "a".into();
    let set = json!({"keys": [public, encrypts, signs, rsa_jwk()]}).to_string();
    let key = SigningKey::from_jwk_set(&set, "a").unwrap();
    assert_eq!(key.signs_as(), Algorithm::Es256);
    let only_public = json!({"keys": [public, public]}).to_string();
    let error = SigningKey::from_jwk_set(&only_public, "a").unwrap_err();
    assert!(error.to_string().contains("is a public key"), "{error}");
}

#[test]
fn a_pem_that_cannot_be_used_says_why() {
    for (text, reason) in [
        (key!("p256-public"), "is a public key"),
        (&pem("CERTIFICATE", b"x"), "is a certificate"),
        (&pem("CERTIFICATE REQUEST", b"x"), "no private key"),
        (key!("p256-encrypted"), "give its passphrase"),
        (key!("p256-encrypted-old"), "OpenSSL's old format"),
        (key!("openssh"), "format of OpenSSH"),
        (key!("rsa1024"), "of 1024 bits; it must have 2048"),
        (key!("rsa-pss"), "RSA for PSS only"),
        (key!("secp256k1"), "another curve"),
        (key!("x25519"), "X25519"),
        (key!("ed448"), "Ed448"),
        (&pem("DSA PRIVATE KEY", b"x"), "cannot sign"),
        (&pem("PRIVATE KEY", b"x"), "may be cut"),
        (&pem("RSA PRIVATE KEY", b"x"), "damaged"),
        (&key!("p256")[..100], "is cut"),
        (
            "-----BEGIN PRIVATE KEY-----\nä\n-----END PRIVATE KEY-----",
            "not base64",
        ),
        ("MIGHAgEA", "not in PEM form"),
        ("{}", "not in PEM form"),
        ("", "not in PEM form"),
    ] {
        let error = SigningKey::from_pem(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let error = SigningKey::from_pem(b"\x30\x82\x01").unwrap_err();
    assert!(error.to_string().contains("-inform DER"), "{error}");
    let other = SigningKey::from_encrypted_pem(key!("p256-encrypted-des3"), "correct-horse");
    assert!(other.unwrap_err().to_string().contains("aes-256-cbc"));
}

#[test]
fn a_jwk_that_cannot_be_used_says_why() {
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let without = |mut jwk: Value, name: &str| {
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    };
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    for (jwk, reason) in [
        (without(rsa_jwk(), "d"), "is a public key"),
        (without(ec_jwk("a"), "d"), "is a public key"),
        (without(rsa_jwk(), "qi"), "without all of"),
        (with(rsa_jwk(), "n", short.into()), "of 1024 bits"),
        (
            with(rsa_jwk(), "alg", "ES256".into()),
            "is an RSA key, which cannot sign as ES256; it signs as RS256",
        ),
        (
            with(ec_jwk("a"), "alg", "RS256".into()),
            "is a P-256 key, which cannot sign as RS256",
        ),
        (
            with(rsa_jwk(), "alg", "RSA-OAEP".into()),
            "the `alg` RSA-OAEP",
        ),
        (
            with(ec_jwk("a"), "crv", "secp256k1".into()),
            "curve secp256k1",
        ),
        (
            with(ec_jwk("a"), "crv", "P-384".into()),
            "do not belong together",
        ),
        (json!({"kty": "oct", "k": "AA"}), "symmetric"),
        (json!({"kty": "XYZ"}), "`kty`"),
        (json!({"kty": "EC"}), "a field is missing"),
        (json!([]), "not a JWK"),
        (json!({"private_key": "PEM"}), "a PEM in `private_key`"),
        (
            json!({"private_key": "PEM", "kty": "EC"}),
            "a field is missing",
        ),
    ] {
        let error = SigningKey::from_jwk(jwk.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let error = SigningKey::from_jwk("{").unwrap_err();
    assert!(error.to_string().contains("not valid JSON"), "{error}");
}
