//! T9: TLS that ends after the handshake, and what the client concludes about its request.

use std::sync::Arc;

use keyfob::oauth::{Client, RefreshToken};
use keyfob::{Error, Token, TokenCache};
use keyfob_testkit::Leaf;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ConnectionTrafficSecrets, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::error_texts::error_texts;
use crate::fixtures::Folder;

/// Alerts (RFC 8446 §6).
const INTERNAL_ERROR: u8 = 80;
const BAD_CERTIFICATE: u8 = 42;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;
const ACCESS_DENIED: u8 = 49;
const DECRYPT_ERROR: u8 = 51;
const CERTIFICATE_REQUIRED: u8 = 116;

/// How a server ends TLS after it has read a request and sent a part of its response.
#[derive(Clone, Copy)]
enum End {
    Alert(u8),
    /// Without an alert, as old servers do. RFC 8446 §6.1 asks for `close_notify`.
    Abrupt,
}

/// So long that the head has been read before the alert arrives: what is read together with an alert is lost with it.
fn half_a_response() -> String {
    let padding = " ".repeat(200_000);
    format!("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{{\"access_token\":{padding}")
}

/// What a client gets from a server that sends this and then ends TLS.
async fn exchange(
    folder: &Folder,
    client_certificate: bool,
    sent: &str,
    end: End,
) -> Result<Token, Error> {
    let pair = folder.authority.issue(Leaf::default());
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.enable_secret_extraction = true;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token", listener.local_addr().unwrap());
    let sent = sent.as_bytes().to_vec();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"refresh_token=r3fresh&client_id=reports") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(&sent).await.unwrap();
        stream.flush().await.unwrap();
        if let End::Alert(alert) = end {
            send_alert(stream, alert).await;
        }
    });
    let mut client = Client::builder("reports")
        .token_endpoint(url)
        .ca_file(folder.path("ca.pem"));
    if client_certificate {
        client = client.client_certificate(&folder.certificate());
    }
    let source = RefreshToken::new(client.build().unwrap(), "r3fresh").unwrap();
    TokenCache::new(source).get_valid_token().await
}

/// Encrypts a fatal alert, which rustls cannot be asked to send (RFC 8446 §5.2).
async fn send_alert(stream: TlsStream<TcpStream>, alert: u8) {
    let (mut tcp, connection) = stream.into_inner();
    let (number, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
        panic!("not the usual cipher");
    };
    let mut nonce = <[u8; 12]>::try_from(iv.as_ref()).unwrap();
    for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    let head = [23, 3, 3, 0, 19];
    let mut record = vec![2, alert, 21];
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(head), &mut record)
        .unwrap();
    tcp.write_all(&[&head[..], &record].concat()).await.unwrap();
}

#[tokio::test]
async fn t9_a_tls_alert_leaves_the_outcome_unknown_unless_it_refuses_the_certificate() {
    let folder = Folder::new();
    for alert in [
        ACCESS_DENIED,
        BAD_CERTIFICATE,
        CERTIFICATE_UNKNOWN,
        DECRYPT_ERROR,
        INTERNAL_ERROR,
    ] {
        let error = exchange(&folder, false, "", End::Alert(alert)).await;
        let error = error.unwrap_err();
        let texts = error_texts(&error);
        assert!(error.is_outcome_unknown(), "{alert}: {texts}");
        assert!(texts.contains("may have seen the request"), "{texts}");
        assert!(texts.contains("ended the TLS connection with"), "{texts}");
        assert!(!texts.contains("would fail again"), "{texts}");
    }
    for (alert, client_certificate, words) in [
        (CERTIFICATE_REQUIRED, false, "demands a client certificate"),
        (CERTIFICATE_REQUIRED, true, "demands a client certificate"),
        (UNKNOWN_CA, true, "does not accept the client certificate"),
        (
            ACCESS_DENIED,
            true,
            "does not accept the client certificate",
        ),
    ] {
        let error = exchange(&folder, client_certificate, "", End::Alert(alert)).await;
        let error = error.unwrap_err();
        let texts = error_texts(&error);
        assert!(!error.is_outcome_unknown(), "{alert}: {texts}");
        assert!(texts.contains("could not be sent the request"), "{texts}");
        assert!(texts.contains(words), "{texts}");
    }
}

#[tokio::test]
async fn t9_no_tls_alert_in_a_response_says_that_the_request_was_not_read() {
    let folder = Folder::new();
    for alert in [ACCESS_DENIED, DECRYPT_ERROR, CERTIFICATE_REQUIRED] {
        for client_certificate in [false, true] {
            let end = End::Alert(alert);
            let error = exchange(&folder, client_certificate, &half_a_response(), end).await;
            let error = error.unwrap_err();
            let texts = error_texts(&error);
            assert!(error.is_outcome_unknown(), "{alert}: {texts}");
            assert!(texts.contains("lost its connection"), "{texts}");
            assert!(!texts.contains("client certificate"), "{texts}");
        }
        // The head is lost together with an alert that arrives at the same time.
        if alert != CERTIFICATE_REQUIRED {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{";
            let error = exchange(&folder, false, head, End::Alert(alert)).await;
            let error = error.unwrap_err();
            assert!(error.is_outcome_unknown(), "{alert}: {error}");
        }
    }
}

#[tokio::test]
async fn t9_tls_that_ends_without_an_alert_keeps_json_that_is_whole() {
    let folder = Folder::new();
    let json = "HTTP/1.0 200 OK\r\n\r\n{\"access_token\":\"t0ken\",\"token_type\":\"Bearer\"}";
    let token = exchange(&folder, false, json, End::Abrupt).await.unwrap();
    assert_eq!(token.expose(), "t0ken");

    let form = "HTTP/1.0 200 OK\r\n\r\naccess_token=t0ken&token_type=Bearer";
    for sent in [form, &json[..json.len() - 1], &half_a_response()] {
        let error = exchange(&folder, false, sent, End::Abrupt).await;
        let error = error.unwrap_err();
        let texts = error_texts(&error);
        assert!(error.is_outcome_unknown(), "{texts}");
        assert!(texts.contains("the response ended too early"), "{texts}");
    }
}
