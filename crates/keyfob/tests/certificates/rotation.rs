//! Certificates whose files change while they are in use.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{Arc, Barrier};

use keyfob::oauth::ClientCredentials;
use keyfob::{ClientCertificate, Session, TokenCache};
use keyfob_testkit::{ClientCertificates, Leaf, TlsServer, json};
use serde_json::Value;

use crate::captured_log;
use crate::fixtures::{Folder, fixed};

async fn presented(session: &Session) -> String {
    let response = session.get("data").send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    body["presented"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_next_request_presents_the_new_certificate_and_one_that_runs_goes_on() {
    let folder = Folder::new();
    let barrier = Arc::new(Barrier::new(2));
    let held = Arc::clone(&barrier);
    let server = TlsServer::builder(&folder.authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(move |request| {
            if request.line.contains("slow") {
                held.wait();
                held.wait();
            }
            (200, json!({ "presented": request.certificate }))
        });
    let session = folder.session(&server, fixed()).build().unwrap();
    let before = folder.certificate().thumbprint();
    let running = tokio::spawn(session.get("slow").send());
    let reached = Arc::clone(&barrier);
    tokio::task::spawn_blocking(move || reached.wait())
        .await
        .unwrap();

    folder.renew();
    let after = folder.certificate().thumbprint();
    assert_eq!(presented(&session).await, after);
    tokio::task::spawn_blocking(move || barrier.wait())
        .await
        .unwrap();
    let body: Value = running.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["presented"], before);
    // The connection with the old certificate is not used again.
    for _ in 0..3 {
        assert_eq!(presented(&session).await, after);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_token_that_is_bound_to_the_old_certificate_is_renewed_and_the_request_succeeds() {
    let folder = Folder::new();
    let (endpoint, api) = (folder.token_endpoint(), folder.api());
    let client = folder.client(&endpoint).build().unwrap();
    let tokens = TokenCache::new(ClientCredentials::new(client));
    let session = folder.session(&api, tokens.clone()).build().unwrap();
    for _ in 0..3 {
        let expected = folder.certificate().thumbprint();
        assert_eq!(presented(&session).await, expected);
        assert_eq!(presented(&session).await, expected);
        folder.renew();
    }
    assert_eq!(endpoint.received().len(), 3);
    // A token that is renewed first is not sent over a connection with the old certificate.
    folder.renew();
    tokens.renew().await.unwrap();
    assert_eq!(presented(&session).await, folder.certificate().thumbprint());
    assert_eq!(endpoint.received().len(), 4);
}

#[tokio::test]
async fn a_folder_that_is_swapped_by_its_link_is_noticed() {
    let folder = Folder::new();
    // As Kubernetes mounts a secret: `tls.crt` → `..data/tls.crt`, and `..data` → the newest folder.
    let mount = folder.path("mount");
    let put = |version: &str| {
        let pair = folder.authority.issue(Leaf::default());
        let new = mount.join(version);
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(new.join("tls.crt"), pair.certificate).unwrap();
        std::fs::write(new.join("tls.key"), pair.key).unwrap();
        symlink(version, mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    put("..1");
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), mount.join(name)).unwrap();
    }
    let certificate =
        ClientCertificate::from_files(mount.join("tls.crt"), mount.join("tls.key")).unwrap();
    let server = folder.server(ClientCertificates::Demanded);
    let session = folder
        .session(&server, fixed())
        .client_certificate(&certificate)
        .build()
        .unwrap();
    let before = presented(&session).await;
    assert_eq!(before, certificate.thumbprint());
    put("..2");
    let after = presented(&session).await;
    assert_ne!(after, before);
    assert_eq!(after, certificate.thumbprint());
}

#[test]
fn a_new_pair_that_cannot_be_used_keeps_the_old_one_and_warns_once() {
    // Alone, because it captures the log of its process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "rotation::unusable_pairs"])
        .output()
        .unwrap();
    let texts = String::from_utf8_lossy(&output.stdout);
    assert!(texts.contains("1 passed"), "{texts}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn unusable_pairs() {
    captured_log::capture();
    let warnings = || {
        let lines = captured_log::lines().into_iter();
        lines
            .filter(|line| line.contains("the old one stays in use"))
            .count()
    };
    let folder = Folder::new();
    let server = folder.server(ClientCertificates::Demanded);
    let session = folder.session(&server, fixed()).build().unwrap();
    let before = presented(&session).await;
    let other = folder.authority.issue(Leaf::default());
    let breaks: [&dyn Fn(); 4] = [
        &|| _ = folder.write("tls.key", &other.key),
        &|| _ = folder.write("tls.crt", "-----BEGIN CERTIFICATE-----\nAA"),
        &|| _ = folder.write("tls.key", ""),
        &|| std::fs::remove_file(folder.path("tls.crt")).unwrap(),
    ];
    for (number, breaks) in breaks.iter().enumerate() {
        breaks();
        for _ in 0..3 {
            assert_eq!(presented(&session).await, before);
        }
        assert_eq!(warnings(), number + 1);
    }
    folder.renew();
    assert_eq!(presented(&session).await, folder.certificate().thumbprint());
    assert_eq!(warnings(), breaks.len());
    let key = std::fs::read_to_string(folder.path("tls.key")).unwrap();
    for text in captured_log::lines() {
        let secret = key.lines().chain(other.key.lines()).nth(1).unwrap();
        assert!(!text.contains(secret), "{text}");
    }
}
