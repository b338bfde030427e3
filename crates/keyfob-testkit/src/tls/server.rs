//! A server over TLS that may ask for a client certificate.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::tls::authority::{Leaf, Pair, TestAuthority};

/// A server over TLS on a free port of 127.0.0.1, which may ask for a client certificate.
///
/// It responds to each request with the status and the JSON that the function returns. The member `location` of a redirect
/// is its target. The function sees the thumbprint of the client's certificate. Each connection has a thread, which ends with the connection; the listening thread ends with
/// the process.
///
/// ```
/// use keyfob_testkit::{ClientCertificates, TestAuthority, TlsServer, json};
///
/// let authority = TestAuthority::new();
/// let server = TlsServer::builder(&authority)
///     .client_certificates(ClientCertificates::Demanded)
///     .start(|request| (200, json!({ "presented": request.certificate })));
/// assert!(server.url().starts_with("https://127.0.0.1:"));
/// ```
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<TlsRequest>>>,
}

/// A request that a [`TlsServer`] received.
#[derive(Clone, Debug, Default)]
pub struct TlsRequest {
    /// The method and the path.
    pub line: String,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The body, as text.
    pub body: String,
    /// The thumbprint of the client's certificate (`x5t#S256`, RFC 8705 §3.1).
    pub certificate: Option<String>,
    /// The number of the connection, from 1.
    pub connection: usize,
}

/// Whether a server asks for client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not ask.
    NotAsked,
    /// It asks, and accepts clients without one.
    Accepted,
    /// It ends the handshake if there is none.
    Demanded,
}

/// The settings of a [`TlsServer`].
pub struct TlsServerBuilder<'a> {
    authority: &'a TestAuthority,
    pair: Pair,
    client_certificates: ClientCertificates,
    only_tls12: bool,
}

impl TlsServer {
    /// Begins a server whose certificate comes from this authority, which also issues the certificates of its clients.
    #[must_use]
    pub fn builder(authority: &TestAuthority) -> TlsServerBuilder<'_> {
        TlsServerBuilder {
            authority,
            pair: authority.issue(Leaf::default()),
            client_certificates: ClientCertificates::NotAsked,
            only_tls12: false,
        }
    }

    /// The URL of the server, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests that arrived, in their order.
    #[must_use]
    pub fn received(&self) -> Vec<TlsRequest> {
        let received = self.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TlsServerBuilder<'_> {
    /// Uses this certificate of the server.
    #[must_use]
    pub fn certificate(mut self, pair: Pair) -> Self {
        self.pair = pair;
        self
    }

    /// Sets whether it asks for client certificates; it does not unless set.
    #[must_use]
    pub fn client_certificates(mut self, client_certificates: ClientCertificates) -> Self {
        self.client_certificates = client_certificates;
        self
    }

    /// Speaks TLS 1.2 only, in which a client learns during the handshake that its certificate is refused.
    #[must_use]
    pub fn only_tls12(mut self) -> Self {
        self.only_tls12 = true;
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// If the certificate cannot be used, or there is no free port.
    pub fn start(
        self,
        respond: impl Fn(&TlsRequest) -> (u16, Value) + Send + Sync + 'static,
    ) -> TlsServer {
        let config = Arc::new(self.config());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = TlsServer {
            address: listener.local_addr().expect("an address"),
            connections: Arc::default(),
            received: Arc::default(),
        };
        let respond = Arc::new(respond);
        let (connections, received) = (
            Arc::clone(&server.connections),
            Arc::clone(&server.received),
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (config, respond) = (Arc::clone(&config), Arc::clone(&respond));
                let received = Arc::clone(&received);
                thread::spawn(move || {
                    let tls = ServerConnection::new(config).expect("a connection");
                    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
                    while let Some(mut request) = read(&mut stream) {
                        request.connection = connection;
                        request.certificate = presented(&stream.get_ref().conn);
                        let (status, body) = respond(&request);
                        let log = received.lock();
                        log.unwrap_or_else(PoisonError::into_inner).push(request);
                        if write(stream.get_mut(), status, &body).is_none() {
                            break;
                        }
                    }
                    end(stream.get_mut());
                });
            }
        });
        server
    }

    fn config(&self) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = match self.only_tls12 {
            true => vec![&TLS12],
            false => vec![&TLS13, &TLS12],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .expect("known versions");
        let config = match self.client_certificates {
            ClientCertificates::NotAsked => config.with_no_client_auth(),
            _ => config.with_client_cert_verifier(self.verifier(provider)),
        };
        let chain = CertificateDer::pem_slice_iter(self.pair.certificate.as_bytes());
        let chain: Vec<_> = chain.collect::<Result<_, _>>().expect("a PEM");
        let key = PrivateKeyDer::from_pem_slice(self.pair.key.as_bytes()).expect("a PEM");
        config
            .with_single_cert(chain, key)
            .expect("a certificate and its key")
    }

    fn verifier(
        &self,
        provider: Arc<tokio_rustls::rustls::crypto::CryptoProvider>,
    ) -> Arc<dyn ClientCertVerifier> {
        let authority = CertificateDer::from_pem_slice(self.authority.pem().as_bytes());
        let mut roots = RootCertStore::empty();
        roots.add(authority.expect("a PEM")).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match self.client_certificates {
            ClientCertificates::Demanded => verifier,
            _ => verifier.allow_unauthenticated(),
        };
        verifier.build().expect("an authority")
    }
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Reads one request; `None` at the end, or if the handshake fails.
fn read(stream: &mut BufReader<Stream>) -> Option<TlsRequest> {
    let mut line = || {
        let mut text = String::new();
        stream.read_line(&mut text).ok().filter(|read| *read > 0)?;
        Some(text.trim_end().to_owned())
    };
    let mut request = TlsRequest {
        line: line()?.trim_end_matches(" HTTP/1.1").to_owned(),
        ..TlsRequest::default()
    };
    let mut length = 0;
    while let Some((name, value)) = line()?.split_once(": ") {
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}

fn write(stream: &mut Stream, status: u16, body: &Value) -> Option<()> {
    let field = match (status, body.get("location")) {
        (300..=399, Some(Value::String(url))) => format!("location: {url}\r\n"),
        (401, _) => "www-authenticate: Bearer error=\"invalid_token\"\r\n".to_owned(),
        _ => String::new(),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} It\r\ncontent-type: application/json\r\n{field}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    stream.flush().ok()
}

/// Ends a connection in order: what the client sent is read first, because a reset would overtake the alert.
fn end(stream: &mut Stream) {
    stream.conn.send_close_notify();
    while stream.conn.wants_write() && stream.conn.write_tls(&mut stream.sock).is_ok() {}
    let _ = stream.sock.shutdown(std::net::Shutdown::Write);
    let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
}

fn presented(connection: &ServerConnection) -> Option<String> {
    connection.peer_certificates()?.first().map(thumbprint)
}

fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().expect("it is a suite of TLS 1.3");
    let hash = suite.common.hash_provider.hash(certificate);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
}

impl fmt::Debug for TlsServerBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServerBuilder")
            .field("client_certificates", &self.client_certificates)
            .finish_non_exhaustive()
    }
}
