//! Servers with a certificate that the system does not trust.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rcgen::CertifiedKey;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::keyfob::{Folder, Keyfob};

/// A server over TLS that responds `fine` to each request, and its certificate in PEM.
fn start() -> (SocketAddr, String) {
    let names = ["127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).expect("a new certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a private key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key);
    let config = Arc::new(config.expect("a certificate and its key"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            // Fails if the client does not trust the certificate.
            if stream.read(&mut [0; 4096]).is_ok() {
                let response =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine";
                let _ = stream.write_all(response);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (address, cert.pem())
}

#[test]
fn a_certificate_is_trusted_with_cacert_with_the_key_of_a_profile_and_with_the_variable() {
    let (folder, (address, pem)) = (Folder::new(), start());
    let url = format!("https://{address}/");
    let file = folder.path("authority.pem");
    fs::write(&file, pem).expect("a file");
    let file = file.to_str().expect("a plain path");

    let done = Keyfob::request([&*url]).run();
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("`--cacert`"), "{done:?}");
    assert!(!done.stderr.contains("OtherError"), "{done:?}");

    let done = Keyfob::request([&*url, "--cacert", file]).run();
    assert_eq!((done.code, &*done.stdout), (0, "fine"), "{done:?}");
    let done = Keyfob::request([&*url]).env("SSL_CERT_FILE", file).run();
    assert_eq!((done.code, &*done.stdout), (0, "fine"), "{done:?}");
    let config = folder.path("keyfob.toml");
    let profile = format!(
        "[profiles.a]\nbase_url = \"{url}\"\nca_file = \"{file}\"\ntoken = \"env:KEYFOB_TOKEN\"\n"
    );
    fs::write(&config, profile).expect("a file");
    let done = Keyfob::request([&*url, "--profile=a"])
        .env("KEYFOB_CONFIG", config.to_str().expect("a plain path"))
        .run();
    assert_eq!((done.code, &*done.stdout), (0, "fine"), "{done:?}");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named_before_anything_is_sent() {
    let folder = Folder::new();
    let file = folder.path("missing.pem");
    let file = file.to_str().expect("a plain path");
    let done = Keyfob::request(["https://127.0.0.1:9/", "--cacert", file]).run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains(file), "{done:?}");
    let done = Keyfob::request(["https://127.0.0.1:9/"])
        .env("SSL_CERT_FILE", file)
        .run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.stderr.contains(file), "{done:?}");
    assert!(done.stderr.contains("SSL_CERT_FILE names it"), "{done:?}");
    fs::write(file, "").expect("a file");
    let done = Keyfob::request(["https://127.0.0.1:9/", "--cacert", file]).run();
    assert!(done.complaint().contains("has no certificate"), "{done:?}");
}
