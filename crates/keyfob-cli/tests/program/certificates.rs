//! Servers with a certificate that the system does not trust.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;

use rcgen::CertifiedKey;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use keyfob_testkit::{ClientCertificates, Leaf, TestAuthority, TlsServer, json};

use crate::broken_servers::broken_servers;
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
    assert_eq!(done.code, 60, "{done:?}");
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

#[test]
fn a_system_without_authorities_is_told_to_install_them() {
    let folder = Folder::new();
    let path = folder.path("");
    let path = path.to_str().expect("a plain path");
    let done = Keyfob::request(["https://127.0.0.1:9/"])
        .env("SSL_CERT_DIR", path)
        .run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains("`ca-certificates`"), "{done:?}");
}

/// An API and a token endpoint in one, which demand a client certificate, and the files for them.
fn demanding(folder: &Folder) -> (TlsServer, [String; 3]) {
    let authority = TestAuthority::new();
    let pair = authority.issue(Leaf::default());
    let server = TlsServer::builder(&authority)
        .client_certificates(ClientCertificates::Demanded)
        .start(|request| {
            let token = request.certificate.as_deref();
            let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 60 });
            (200, body)
        });
    let texts = [authority.pem(), &*pair.certificate, &*pair.key];
    let names = ["ca.pem", "tls.crt", "tls.key"];
    let files = std::array::from_fn(|number| {
        let path = folder.path(names[number]);
        fs::write(&path, texts[number]).expect("a file");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("a file of our own");
        path.to_str().expect("a plain path").to_owned()
    });
    (server, files)
}

#[test]
fn a_client_certificate_is_presented_with_cert_and_key_and_with_the_key_of_a_profile() {
    let folder = Folder::new();
    let (server, [authority, certificate, key]) = demanding(&folder);
    let url = format!("{}/", server.url());
    let trusting = [&*url, "--cacert", &authority];
    let done = Keyfob::request(trusting).run();
    assert_eq!(done.code, 35, "{done:?}");
    assert!(done.stderr.contains("`--cert`"), "{done:?}");

    let options = ["--cert", &certificate, "--key", &key];
    let done = Keyfob::request([&trusting[..], &options].concat()).run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(server.received()[0].certificate.is_some());

    // With a grant, the token endpoint sees it too.
    let config = folder.path("keyfob.toml");
    let profile = format!(
        "[profiles.a]\nbase_url = \"{url}\"\nca_file = \"{authority}\"\nstore = \"memory\"\n\
         client_certificate = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n\
         [profiles.a.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{url}token\"\n\
         client_id = \"a\"\nclient_authentication = \"tls_client_auth\"\n"
    );
    fs::write(&config, profile).expect("a file");
    let config = config.to_str().expect("a plain path");
    let done = Keyfob::new(["request", &url, "--profile=a", "--config", config]).run();
    assert_eq!(done.code, 0, "{done:?}");
    let bound_to = server.received()[2]
        .certificate
        .clone()
        .expect("it was presented");
    assert_eq!(
        server.received()[2].authorization,
        Some(format!("Bearer {bound_to}"))
    );
    let done = Keyfob::new(["profile", "check", "a", "--config", config]).run();
    assert!(done.stdout.contains("tls.crt"), "{done:?}");
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_named_before_anything_is_sent() {
    let folder = Folder::new();
    let (_, [authority, certificate, key]) = demanding(&folder);
    let url = "https://127.0.0.1:9/";
    for (arguments, words) in [
        (
            [url, "--cert", &authority, "--key", &key],
            "does not belong",
        ),
        (
            [url, "--cert", &key, "--key", &certificate],
            "has no certificate",
        ),
    ] {
        let done = Keyfob::request(arguments).run();
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.complaint().contains(words), "{done:?}");
    }
    let done = Keyfob::request([url, "--cert", &certificate]).run();
    assert!(done.complaint().contains("is a certificate"), "{done:?}");
    let done = Keyfob::request([url, "--key", &key]).run();
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn a_failed_handshake_is_an_error_that_says_what_to_do() {
    let folder = Folder::new();
    let authority = TestAuthority::new();
    let write = |name: &str, text: &str| {
        let path = folder.path(name);
        fs::write(&path, text).expect("a file");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("a file of our own");
        path.to_str().expect("a plain path").to_owned()
    };
    let authority_file = write("ca.pem", authority.pem());
    for server in broken_servers(&authority) {
        let mut arguments = vec![server.url, "--cacert".into(), authority_file.clone()];
        // In TLS 1.3 the refusal of a client certificate may be lost with the connection. The next attempt sees it.
        arguments.extend(["--retry".into(), "3".into()]);
        if let Some(pair) = server.client {
            let file = write("both.pem", &format!("{}{}", pair.certificate, pair.key));
            arguments.extend(["--cert".into(), file]);
        }
        let done = Keyfob::request(arguments).run();
        let is_about_server = server.words.starts_with("of the server")
            || server.words.starts_with("is ")
            || server.words == "`--cacert`";
        match (is_about_server, server.words) {
            (true, _) => assert_eq!(done.code, 60, "{done:?}"),
            (false, "begins with `https://`") => assert_eq!(done.code, 1, "{done:?}"),
            (false, _) => assert_eq!(done.code, 35, "{done:?}"),
        }
        assert!(
            done.complaint().contains(server.words),
            "{} {done:?}",
            server.words
        );
        assert!(!done.stderr.contains("Other"), "{done:?}");
    }
}
