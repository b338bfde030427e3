//! What the errors of a failed TLS handshake say, and that such a request is not sent again.

use keyfob::oauth::{Client, ClientCredentials};
use keyfob::{ClientCertificate, ErrorKind, RetryPolicy, Session, TokenCache, blocking};
use keyfob_testkit::{ClientCertificates, TlsServer, json};

use crate::broken_servers::{BrokenServer, broken_servers};
use crate::error_texts::error_texts;
use crate::fixtures::{Folder, fixed};

#[track_caller]
fn check(server: &BrokenServer, error: &keyfob::Error) {
    let texts = error_texts(error);
    assert!(texts.contains(server.words), "{}: {texts}", server.words);
    assert!(!texts.contains("Other("), "{texts}");
    assert!(!texts.contains("OtherError"), "{texts}");
}

fn certificate(folder: &Folder, server: &BrokenServer) -> Option<ClientCertificate> {
    folder.write_pair(server.client.as_ref()?);
    Some(folder.certificate())
}

#[tokio::test]
async fn r4_a_failed_handshake_is_an_error_that_says_what_to_do() {
    let folder = Folder::new();
    for server in broken_servers(&folder.authority) {
        let mut session = Session::builder(fixed())
            .base_url(&server.url)
            .retry(RetryPolicy::default().attempts(1))
            .ca_file(folder.path("ca.pem"));
        if let Some(certificate) = certificate(&folder, &server) {
            session = session.client_certificate(&certificate);
        }
        let error = session
            .build()
            .unwrap()
            .get("data")
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        check(&server, &error);
    }
}

#[test]
fn r4_a_failed_handshake_of_a_blocking_session_says_the_same() {
    let folder = Folder::new();
    for server in broken_servers(&folder.authority) {
        let mut session = blocking::Session::builder(fixed())
            .base_url(&server.url)
            .retry(RetryPolicy::default().attempts(1))
            .ca_file(folder.path("ca.pem"));
        if let Some(certificate) = certificate(&folder, &server) {
            session = session.client_certificate(&certificate);
        }
        let error = session.build().unwrap().get("data").send().unwrap_err();
        check(&server, &error);
    }
}

#[tokio::test]
async fn a_failed_handshake_with_the_token_endpoint_says_the_same() {
    let folder = Folder::new();
    for server in broken_servers(&folder.authority) {
        let mut client = Client::builder("reports")
            .token_endpoint(format!("{}/token", server.url))
            .ca_file(folder.path("ca.pem"));
        if let Some(certificate) = certificate(&folder, &server) {
            client = client.client_certificate(&certificate);
        }
        let source = ClientCredentials::new(client.build().unwrap());
        let error = TokenCache::new(source).get_valid_token().await.unwrap_err();
        check(&server, &error);
    }
}

#[tokio::test]
async fn r4_a_refused_client_certificate_is_not_presented_again() {
    let folder = Folder::new();
    let server = TlsServer::builder(&folder.authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(|_| (200, json!({})));
    let session = Session::builder(fixed())
        .base_url(server.url())
        .ca_file(folder.path("ca.pem"))
        .build()
        .unwrap();
    session.get("data").send().await.unwrap_err();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn t9_a_refresh_token_is_not_used_up_by_a_refused_client_certificate() {
    let folder = Folder::new();
    let server = TlsServer::builder(&folder.authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(|_| {
            (
                200,
                json!({ "access_token": "t0ken", "token_type": "Bearer" }),
            )
        });
    let client = Client::builder("reports")
        .token_endpoint(server.url())
        .ca_file(folder.path("ca.pem"))
        .build()
        .unwrap();
    let source = keyfob::oauth::RefreshToken::new(client, "r3fresh").unwrap();
    let error = TokenCache::new(source).get_valid_token().await.unwrap_err();
    let texts = error_texts(&error);
    assert!(texts.contains("could not be sent the request"), "{texts}");
    assert!(!texts.contains("may have seen"), "{texts}");
}
