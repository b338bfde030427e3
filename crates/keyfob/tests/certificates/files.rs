//! The files of a client certificate: what is read, and what is wrong with one that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyfob::{ClientCertificate, Error, ErrorKind};
use keyfob_testkit::{ClientCertificates, Leaf, TestAuthority};

use crate::error_texts::error_texts;
use crate::fixtures::{Folder, fixed};

fn read(certificate: &Path, key: &Path) -> Result<ClientCertificate, Error> {
    ClientCertificate::from_files(certificate, key)
}

#[tokio::test]
async fn certificate_chain_and_key_may_be_in_one_file_with_other_sections() {
    let folder = Folder::new();
    let pair = folder.authority.issue(Leaf::default());
    let text = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}\nBag Attributes\n{}{}",
        pair.key,
        pair.certificate,
        folder.authority.pem()
    );
    let file = folder.write("both.pem", &text);
    let certificate = read(&file, &file).unwrap();
    let server = folder.server(ClientCertificates::Demanded);
    let session = folder
        .session(&server, fixed())
        .client_certificate(&certificate);
    session.build().unwrap().get("data").send().await.unwrap();
    assert_eq!(
        server.received()[0].certificate.as_deref(),
        Some(certificate.thumbprint().as_str())
    );
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let folder = Folder::new();
    let (plain, key) = (folder.path("tls.key"), folder.path("encrypted.key"));
    let done = std::process::Command::new("openssl")
        .args([
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-passout",
            "pass:hush",
            "-in",
        ])
        .arg(&plain)
        .arg("-out")
        .arg(&key)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        return; // Without openssl, the tests of signing keys have encrypted keys of their own.
    }
    let certificate = folder.path("tls.crt");
    let read =
        |passphrase: &str| ClientCertificate::from_encrypted_files(&certificate, &key, passphrase);
    assert_eq!(
        read("hush").unwrap().thumbprint(),
        folder.certificate().thumbprint()
    );
    let error = read("hush-wrong").unwrap_err();
    assert!(error.to_string().contains("passphrase is wrong"), "{error}");
    assert!(!error_texts(&error).contains("hush"), "{error}");
    let error = ClientCertificate::from_files(&certificate, &key).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is encrypted; give its passphrase"),
        "{error}"
    );
}

#[test]
fn a_pair_that_cannot_be_used_is_an_error_that_names_the_file_and_the_reason() {
    let folder = Folder::new();
    let other = TestAuthority::new().issue(Leaf::default());
    let (certificate, key) = (folder.path("tls.crt"), folder.path("tls.key"));
    let cut = "-----BEGIN CERTIFICATE-----\nAAAA";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, text, words) in [
        ("tls.crt", "", "has no certificate"),
        ("tls.crt", "text", "has no certificate"),
        ("tls.crt", &*other.key, "has no certificate"),
        ("tls.crt", cut, "cut or changed"),
        ("tls.crt", broken, "cannot be read"),
        (
            "tls.crt",
            &*other.certificate,
            "does not belong to the first certificate",
        ),
        (
            "tls.crt",
            folder.authority.pem(),
            "does not belong to the first certificate",
        ),
        ("tls.key", "", "is not in PEM form"),
        ("tls.key", &*other.certificate, "is a certificate"),
        (
            "tls.key",
            &*other.key,
            "does not belong to the first certificate",
        ),
    ] {
        let kept = fs::read_to_string(folder.path(file)).unwrap();
        folder.write(file, text);
        let error = read(&certificate, &key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let shown = error.to_string();
        assert!(shown.contains(words), "{file} {text}: {shown}");
        assert!(
            shown.contains(folder.path(file).to_str().unwrap()),
            "{shown}"
        );
        folder.write(file, &kept);
    }
    fs::remove_file(&key).unwrap();
    let error = read(&certificate, &key).unwrap_err();
    assert!(
        error.to_string().contains("tls.key does not exist"),
        "{error}"
    );
    let error = read(&key, &certificate).unwrap_err();
    assert!(
        error.to_string().contains("tls.key does not exist"),
        "{error}"
    );
}

#[test]
fn s2_a_key_that_other_users_can_write_is_refused() {
    let folder = Folder::new();
    let key = folder.path("tls.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o620)).unwrap();
    let error = read(&folder.path("tls.crt"), &key).unwrap_err();
    assert!(error.to_string().contains("chmod go-w"), "{error}");
}

#[test]
fn s1_the_key_is_in_no_debug_text() {
    let folder = Folder::new();
    let server = folder.server(ClientCertificates::Demanded);
    let key = fs::read_to_string(folder.path("tls.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let session = folder.session(&server, fixed());
    let client = folder.client(&server);
    let texts = format!(
        "{:?} {session:?} {client:?} {:?} {:?}",
        folder.certificate(),
        folder.session(&server, fixed()).build(),
        folder.client(&server).build()
    );
    assert!(
        texts.contains("tls.key") && !texts.contains(secret),
        "{texts}"
    );
}
