//! A forward proxy with servers behind it, and raw connections to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::proxy::forward::{BoundOrigin, ForwardProxy, ForwardProxyBuilder, StandIn};
use keyfob::proxy::{self, Limits, ListenAddress, Listener, Route, Stop};
use keyfob::{Token, TokenCache, TokenSource, hook_blocking};
use keyfob_testkit::{Expect, ScriptedResponse, Server, TestAuthority, TlsServer, json};
use tokio::runtime::Runtime;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A proxy with three servers that get tokens: `a` and `b` with plain http, and `tls`. Another listener must get nothing.
pub(crate) struct Proxied {
    pub(crate) runtime: Runtime,
    pub(crate) stop: Arc<Stop>,
    _folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    url: String,
    pub(crate) authority: String,
    pub(crate) a: Server,
    pub(crate) b: Server,
    pub(crate) tls: TlsServer,
    pub(crate) other: TcpListener,
    pub(crate) stand_in_a: StandIn,
    pub(crate) stand_in_b: StandIn,
    pub(crate) stand_in_tls: StandIn,
}

impl Proxied {
    /// With further settings, which get the port of the listener that is bound to nothing.
    pub(crate) fn new(
        settings: impl FnOnce(ForwardProxyBuilder, u16) -> ForwardProxyBuilder,
    ) -> Self {
        let runtime = Runtime::new().expect("the test can be set up");
        let folder = tempfile::tempdir().expect("the test can be set up");
        let authority = TestAuthority::new();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).expect("the test can be set up");
        let [a, b] = [0; 2].map(|_| {
            let server = Server::start();
            server.expect(Expect::any().always(ScriptedResponse::json(json!({"ok": true}))));
            server
        });
        let tls = TlsServer::builder(&authority)
            .start(|request| (200, json!({"authorization": request.authorization.clone()})));
        let other = TcpListener::bind("127.0.0.1:0").expect("the test can be set up");
        other.set_nonblocking(true).expect("the test can be set up");
        let stand_ins =
            [0; 3].map(|_| StandIn::random(StandIn::PREFIX).expect("the test can be set up"));
        let [stand_in_a, stand_in_b, stand_in_tls] = stand_ins;
        let origin = |name: &'static str, url: String, stand_in: &StandIn| {
            let ca_file = ca_file.clone();
            let tokens = TokenCache::new(numbered(name));
            let origin = url.parse().expect("the test can be set up");
            BoundOrigin::new(origin, tokens, stand_in.clone(), move |tokens| {
                let route = Route::builder(name, &url, tokens);
                match url.starts_with("https") {
                    true => route.ca_file(&ca_file).build(),
                    false => route.build(),
                }
            })
        };
        let port = other.local_addr().expect("the test can be set up").port();
        let url_of = |server: &Server| format!("http://{}", server.address());
        let builder = ForwardProxy::builder()
            .origin(origin("a", url_of(&a), &stand_in_a))
            .origin(origin("b", url_of(&b), &stand_in_b))
            .origin(origin("tls", tls.url(), &stand_in_tls))
            .origin(origin(
                "name",
                "https://api.example.com".to_owned(),
                &stand_in_tls,
            ));
        let proxy = settings(builder, port)
            .build()
            .expect("the test can be set up");
        let listener = {
            let _entered = runtime.enter();
            Listener::bind(&"127.0.0.1:0".parse().expect("the test can be set up"))
        };
        let listener = listener.expect("the test can be set up");
        let ListenAddress::Tcp(address) = *listener.address() else {
            panic!("it listens at a port");
        };
        let (url, authority) = (proxy.url(listener.address()), proxy.authority_pem());
        let mut limits = Limits::default();
        // A client that begins with HTTP/2 and says no more is cut off then.
        limits.first_request = Duration::from_secs(4);
        let (accepting, stop) = (proxy::Server::new(limits), Stop::new());
        let stopping = stop.watch();
        runtime.spawn(async move { proxy.serve(&accepting, listener, stopping).await });
        Self {
            runtime,
            stop: Arc::new(stop),
            _folder: folder,
            address,
            url,
            authority,
            a,
            b,
            tls,
            other,
            stand_in_a,
            stand_in_b,
            stand_in_tls,
        }
    }

    /// The value of `Proxy-Authorization` with the secret of the run.
    pub(crate) fn credentials(&self) -> String {
        let pair = self.url.trim_start_matches("http://");
        let pair = pair.split('@').next().expect("the test can be set up");
        format!("Basic {}", STANDARD.encode(pair))
    }

    /// A connection to the proxy.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the test can be set up");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("the test can be set up");
        stream
    }

    /// Opens a connection through the proxy, and TLS with this name inside of it.
    pub(crate) fn open(&self, target: &str, name: &str) -> Result<Inside, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots
            .add(
                CertificateDer::from_pem_slice(self.authority.as_bytes())
                    .expect("the test can be set up"),
            )
            .expect("the test can be set up");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("the test can be set up");
        self.open_with(target, name, verifier)
    }

    /// The same, with a client that takes certificates which this accepts.
    pub(crate) fn open_with(
        &self,
        target: &str,
        name: &str,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Inside, std::io::Error> {
        let mut stream = self.connect();
        let credentials = self.credentials();
        let head = format!(
            "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: {credentials}\r\n\r\n"
        );
        let answer = ask(&mut stream, &head);
        assert_eq!(status(&answer), 200, "{answer}");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the test can be set up")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("the test can be set up");
        let client = ClientConnection::new(Arc::new(config), name).expect("the test can be set up");
        let mut stream = StreamOwned::new(client, stream);
        stream.flush()?;
        Ok(stream)
    }

    /// How many requests the servers have received.
    pub(crate) fn received(&self) -> usize {
        let reached_other = self.other.accept().is_ok();
        assert!(!reached_other, "a server without a profile was reached");
        self.a.received().len() + self.b.received().len() + self.tls.received().len()
    }
}

pub(crate) type Inside = StreamOwned<ClientConnection, TcpStream>;

/// Sends text, and reads up to the end of the head, and a short body.
pub(crate) fn ask(stream: &mut (impl Read + Write), text: &str) -> String {
    // The proxy may have closed the connection before all was written.
    let _ = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&answer) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    body.len() >= length
}

/// The status of a response; zero if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Tokens that are never in what a program sees.
fn numbered(name: &'static str) -> impl TokenSource {
    hook_blocking(move |_| Token::new(format!("real-{name}")))
}
