//! A server around the proxy, raw upstreams, and raw clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keyfob::proxy::{Arrival, Proxy, ProxyBody, Report, Route, RouteBuilder, StrictStream};
use keyfob::{Error, RetryPolicy, TokenCache};
use keyfob_testkit::{Leaf, TestAuthority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A proxy that listens.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    reports: Arc<Mutex<Vec<Report>>>,
}

impl Running {
    /// A proxy with one route `api`, which is the listener's own.
    pub(crate) async fn route(route: Route) -> Self {
        Self::start(Proxy::new([route]).unwrap(), Arrival::on_route("api")).await
    }

    /// A proxy whose routes are chosen by path.
    pub(crate) async fn by_path(routes: impl IntoIterator<Item = Route>) -> Self {
        Self::start(Proxy::new(routes).unwrap(), Arrival::by_path()).await
    }

    /// Sends a request, whose head reaches the upstream. Returns the client's and the upstream's connection.
    pub(crate) async fn pass_head(
        &self,
        upstream: &RawUpstream,
        request: &str,
    ) -> (RawStream, RawStream) {
        let mut client = self.connect().await;
        client.send(request).await;
        let mut server = upstream.accept().await;
        server.read_until("\r\n\r\n").await;
        (client, server)
    }

    async fn start(proxy: Proxy, arrival: Arrival) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reports = Arc::<Mutex<Vec<Report>>>::default();
        let seen = Arc::clone(&reports);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (proxy, arrival, seen) = (proxy.clone(), arrival.clone(), Arc::clone(&seen));
                let service = service_fn(move |request| {
                    let (proxy, arrival, seen) =
                        (proxy.clone(), arrival.clone(), Arc::clone(&seen));
                    async move {
                        let response: Response<ProxyBody> = proxy.respond(request, &arrival).await;
                        let report = response.extensions().get::<Report>().unwrap();
                        seen.lock().unwrap().push(report.clone());
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(async move {
                    let stream = TokioIo::new(StrictStream::new(stream));
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection_with_upgrades(stream, service).await;
                });
            }
        });
        Self { address, reports }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the responses so far reported.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap().clone()
    }

    pub(crate) async fn connect(&self) -> RawStream {
        RawStream(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes on a connection of their own, and returns all that comes until it ends or is silent.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.read_until_silent().await
    }

    /// Sends a request whose connection is to be closed, and returns the whole response.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n");
        let mut client = self.connect().await;
        client.send(request).await;
        client.read_to_end().await
    }
}

/// One side of a connection, as bytes.
pub(crate) struct RawStream(pub(crate) TcpStream);

impl RawStream {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until this text has come, and returns all up to its end. Panics if it does not come.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let reading = async {
            while !read.ends_with(end.as_bytes()) {
                let mut byte = [0];
                match self.0.read(&mut byte).await {
                    Ok(1) => read.push(byte[0]),
                    other => panic!("{other:?} after {:?}", text(&read)),
                }
            }
        };
        let read_all = tokio::time::timeout(LONG, reading).await;
        assert!(
            read_all.is_ok(),
            "{end:?} did not come, but {:?}",
            text(&read)
        );
        text(&read)
    }

    /// Reads a head and a body of its `Content-Length`.
    pub(crate) async fn read_message(&mut self) -> String {
        let head = self.read_until("\r\n\r\n").await;
        let length = head.to_lowercase().lines().find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.unwrap();
        head + &text(&body)
    }

    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut read = Vec::new();
        let reading = self.0.read_to_end(&mut read);
        let _ = tokio::time::timeout(LONG, reading)
            .await
            .expect("the connection ends");
        text(&read)
    }

    pub(crate) async fn read_until_silent(&mut self) -> String {
        let mut read = Vec::new();
        let _ = tokio::time::timeout(SILENCE, self.0.read_to_end(&mut read)).await;
        text(&read)
    }
}

/// An upstream that is steered by hand.
pub(crate) struct RawUpstream {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl RawUpstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn accept(&self) -> RawStream {
        let accepted = tokio::time::timeout(LONG, self.listener.accept()).await;
        RawStream(accepted.expect("the proxy connects").unwrap().0)
    }

    /// Whether the proxy makes no connection.
    pub(crate) async fn is_left_alone(&self) -> bool {
        tokio::time::timeout(SILENCE, self.listener.accept())
            .await
            .is_err()
    }

    /// Answers each request with these bytes and closes, and records the requests as they were received.
    pub(crate) fn answer(self, response: impl Into<String>) -> Arc<Mutex<Vec<String>>> {
        let response = response.into();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let record = Arc::clone(&received);
        tokio::spawn(async move {
            loop {
                let mut stream = self.accept().await;
                let request = stream.read_message().await;
                record.lock().unwrap().push(request);
                stream.send(&response).await;
            }
        });
        received
    }
}

/// A route `api` to this URL with a fixed token, which retries at once.
pub(crate) fn route(base_url: impl AsRef<str>) -> RouteBuilder {
    Route::builder("api", base_url, tokens(&["one", "two"])).retry(at_once())
}

/// These tokens, one after the other. After the last one, a renewal fails.
pub(crate) fn tokens(texts: &'static [&'static str]) -> TokenCache {
    let left = Mutex::new(texts.iter());
    TokenCache::new(keyfob::hook_blocking(move |_| {
        let next = left.lock().unwrap().next();
        next.copied()
            .ok_or_else(|| Error::unavailable("there is no other token"))
    }))
}

pub(crate) fn at_once() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO)
}

/// For a server that speaks HTTP/2 and HTTP/1.1 over TLS.
pub(crate) fn tls_config(authority: &TestAuthority) -> Arc<ServerConfig> {
    let pair = authority.issue(Leaf::default());
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// How long to wait for what must not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);
