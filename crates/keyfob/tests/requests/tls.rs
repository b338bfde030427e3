//! Sessions over TLS, against a scripted server behind a TLS proxy with its own certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Version;
use keyfob::ErrorKind;
#[cfg(feature = "profiles")]
use keyfob::Profiles;
#[cfg(feature = "profiles")]
use keyfob_testkit::json;
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};
use rcgen::CertifiedKey;
use reqwest::{Certificate, Client, ClientBuilder};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::error_texts::error_texts;
use crate::fixtures::{bearers, builder, soon};

/// A TLS proxy in front of a scripted server.
struct Front {
    address: SocketAddr,
    certificate: Certificate,
    pem: String,
    connections: Arc<AtomicUsize>,
}

impl Front {
    /// Accepts connections until the test's runtime ends.
    async fn of(server: &Server, protocol: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            address: listener.local_addr().unwrap(),
            certificate: Certificate::from_der(cert.der()).unwrap(),
            pem: cert.pem(),
            connections: Arc::default(),
        };
        let (behind, connections) = (server.address(), Arc::clone(&front.connections));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(acceptor.clone(), stream, behind));
            }
        });
        front
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn trusted(&self) -> ClientBuilder {
        Client::builder()
            .no_proxy()
            .tls_certs_only([self.certificate.clone()])
    }
}

/// It ends when either side closes the connection.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let mut server = TcpStream::connect(behind).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

#[tokio::test]
async fn requests_over_tls_carry_the_credential_over_http1_and_http2() {
    for (protocol, version) in [("http/1.1", Version::HTTP_11), ("h2", Version::HTTP_2)] {
        let server = Server::start();
        server.expect(Expect::get("/data").respond(ScriptedResponse::text("fine")));
        let front = Front::of(&server, protocol).await;
        let session = builder(&ManualClock::default())
            .base_url(front.url())
            .client(front.trusted())
            .build()
            .unwrap();
        let response = soon(session.get("data").send()).await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.text().await.unwrap(), "fine");
        assert_eq!(bearers(&server), ["t0ken"]);
    }
}

#[tokio::test]
async fn r1_a_redirect_from_https_to_plain_http_loses_the_credential() {
    let (server, plain) = (Server::start(), Server::start());
    server.expect(
        Expect::get("/start").respond(ScriptedResponse::redirect(307, &plain.url_for("/there"))),
    );
    plain.expect(Expect::get("/there").respond(ScriptedResponse::text("fine")));
    let front = Front::of(&server, "http/1.1").await;
    let session = builder(&ManualClock::default())
        .base_url(front.url())
        .client(front.trusted())
        .build()
        .unwrap();
    let response = soon(session.get("start").send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    assert_eq!(bearers(&server), ["t0ken"]);
    assert_eq!(bearers(&plain), [""]);
}

#[tokio::test]
async fn r1_the_same_host_and_port_over_plain_http_is_another_origin() {
    let server = Server::start();
    let front = Front::of(&server, "http/1.1").await;
    let session = builder(&ManualClock::default())
        .base_url(front.url())
        .client(front.trusted())
        .build()
        .unwrap();
    let plain = front.url().replace("https", "http");
    let error = soon(session.get(plain).send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert_eq!(front.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn r4_an_untrusted_certificate_is_an_error_at_once_and_gets_no_credential() {
    let server = Server::start();
    let front = Front::of(&server, "http/1.1").await;
    let session = builder(&ManualClock::default())
        .base_url(front.url())
        .build()
        .unwrap();
    let error = soon(session.get("data").send()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let texts = error_texts(&error);
    assert!(
        texts.contains("would fail again") && texts.contains("name the file with its certificate"),
        "{texts}"
    );
    assert!(!texts.contains("OtherError"), "{texts}");
    assert_eq!(front.connections.load(Ordering::SeqCst), 1);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_ca_file_is_trusted_for_the_session_in_place_of_the_systems_authorities() {
    let (server, other) = (Server::start(), Server::start());
    server.expect(Expect::get("/data").respond(ScriptedResponse::text("fine")));
    let front = Front::of(&server, "http/1.1").await;
    let untrusted = Front::of(&other, "http/1.1").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &front.pem).unwrap();
    let session = builder(&ManualClock::default())
        .base_url(front.url())
        .origin(untrusted.url())
        .ca_file(file.path())
        .build()
        .unwrap();
    let response = soon(session.get("data").send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    let error = soon(session.get(untrusted.url()).send()).await.unwrap_err();
    assert!(
        error_texts(&error).contains("belongs in the CA file"),
        "{error:?}"
    );
}

#[cfg(feature = "profiles")]
#[tokio::test]
async fn the_ca_file_of_a_profile_is_trusted_for_the_api_and_for_the_token_endpoint() {
    let (server, issuer) = (Server::start(), Server::start());
    server.expect(Expect::get("/data").respond(ScriptedResponse::text("fine")));
    issuer.expect(Expect::post("/token").respond(ScriptedResponse::json(
        json!({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}),
    )));
    let front = Front::of(&server, "http/1.1").await;
    let issuer_front = Front::of(&issuer, "http/1.1").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}{}", front.pem, issuer_front.pem)).unwrap();
    let text = format!(
        "[profiles.a]\nbase_url = \"{}\"\nstore = \"memory\"\n[profiles.a.token]\ngrant = \"client_credentials\"\n\
         token_endpoint = \"{}/token\"\nclient_id = \"a\"\n",
        front.url(),
        issuer_front.url()
    );
    let profiles = Profiles::from_text(&text).unwrap();
    let untrusting = profiles.get("a").unwrap().session().unwrap();
    let error = soon(untrusting.get("data").send()).await.unwrap_err();
    assert!(error_texts(&error).contains("not trusted"), "{error:?}");

    let profile = profiles.get("a").unwrap().with_ca_file(file.path());
    let session = profile.session().unwrap();
    let response = soon(session.get("data").send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    assert_eq!(bearers(&server), ["t0ken"]);
}

#[test]
fn a_ca_file_that_cannot_be_used_is_an_error_at_once_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, content, words) in [
        ("missing", None, "does not exist"),
        ("empty", Some(""), "has no certificate"),
        ("text", Some("not a certificate"), "has no certificate"),
        (
            "key",
            Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "has no certificate",
        ),
        (
            "broken",
            Some(broken),
            "has a certificate that cannot be read",
        ),
        ("cut", Some("-----BEGIN CERTIFICATE-----\nAA"), "CA file"),
    ] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let built = builder(&ManualClock::default())
            .base_url("https://127.0.0.1")
            .ca_file(&path)
            .build();
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let texts = error_texts(&error);
        assert!(texts.contains(words), "{name}: {texts}");
        assert!(texts.contains(path.to_str().unwrap()), "{texts}");
        #[cfg(feature = "oauth")]
        {
            let client =
                keyfob::oauth::Client::builder("a").token_endpoint("https://127.0.0.1/token");
            let error = client.ca_file(&path).build().unwrap_err();
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
        #[cfg(feature = "profiles")]
        {
            let text = "[profiles.a]\nbase_url = \"https://127.0.0.1\"\ntoken = \"env:A\"\n";
            let profiles = Profiles::from_text(text).unwrap().with_ca_file(&path);
            let error = profiles.get("a").unwrap().session().unwrap_err();
            assert!(error.to_string().contains(words), "{name}: {error}");
            let error = profiles.get("a").unwrap().tokens().unwrap_err();
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}
