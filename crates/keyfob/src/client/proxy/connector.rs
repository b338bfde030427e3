//! Connects to an upstream: directly, or through the proxy that the environment names.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, FutureExt};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::client::proxy::local_names::Resolver;
use crate::client::proxy::upstream_tls::UpstreamTls;
use crate::error::error::{BoxError, Error};
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::exchange::tunnel::{NoTunnel, of_environment};
use crate::origin::origin::Origin;

/// A proxy between this machine and an upstream, such as that of a company.
#[derive(Clone)]
pub(super) struct OutboundProxy(Intercept);

impl OutboundProxy {
    /// The proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name for an upstream. This machine needs none (R1).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) for a proxy that speaks SOCKS.
    pub(super) fn of_environment(upstream: &Origin) -> Result<Option<Self>, Error> {
        let uri: Option<Uri> = upstream.to_string().parse().ok();
        let intercept = uri
            .filter(|_| !upstream.is_loopback())
            .and_then(|uri| Matcher::from_system().intercept(&uri));
        match intercept {
            Some(proxy) if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) => {
                Err(Error::input(format!(
                    "the environment names a SOCKS proxy for {upstream}, which a route cannot use; \
                     name an HTTP proxy in HTTPS_PROXY, or list the host in NO_PROXY"
                )))
            }
            other => Ok(other.map(Self)),
        }
    }

    /// Connects to a server through it.
    pub(super) async fn connect(self, server: &Origin) -> Result<Connection, BoxError> {
        let tls = match self.is_https() {
            true => UpstreamTls::default(),
            false => UpstreamTls::unused(),
        };
        let server = server.to_string().parse()?;
        let connecting = Connector::new(Some(self), &tls.into_config()?).call(server);
        timeout(DEFAULT_TIMEOUT, connecting).await?
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.uri().scheme() == Some(&Scheme::HTTPS)
    }
}

/// Makes the connections to an upstream, below its TLS.
#[derive(Clone)]
pub(super) enum Connector {
    Direct(Tcp),
    /// A tunnel through a proxy (RFC 9110 §9.3.6), also for plain http: an upgrade and gRPC pass through it as well.
    Through(OutboundProxy, Box<HttpsConnector<Tcp>>),
}

/// A connection to an upstream, with TLS if it is that of a proxy.
pub(super) type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

type Tcp = HttpConnector<Resolver>;

impl Connector {
    /// `tls` is for a proxy with https.
    pub(super) fn new(proxy: Option<OutboundProxy>, tls: &ClientConfig) -> Self {
        let Some(proxy) = proxy else {
            return Self::Direct(tcp());
        };
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp());
        Self::Through(proxy, Box::new(to_proxy))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Through(_, to_proxy) => to_proxy.poll_ready(context),
        }
    }

    fn call(&mut self, upstream: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => tcp
                .call(upstream)
                .map_ok(MaybeHttpsStream::Http)
                .err_into()
                .boxed(),
            Self::Through(OutboundProxy(proxy), to_proxy) => {
                let connecting = to_proxy.call(proxy.uri().clone());
                let credential = proxy.basic_auth().cloned();
                let proxy = of_environment(proxy.uri());
                let server = host_and_port(&upstream);
                async move {
                    let opened = match connecting.await {
                        Ok(to_proxy) => open_tunnel(to_proxy, credential, &server).await,
                        Err(cause) => Err(Opening::Failed(cause)),
                    };
                    opened.map_err(|fault| match fault {
                        Opening::Refused(status) => NoTunnel::refused(proxy, server, status).into(),
                        Opening::Failed(cause) => NoTunnel::failed(proxy, server, cause).into(),
                    })
                }
                .boxed()
            }
        }
    }
}

/// A connection through a proxy to a server, for which it is asked with a CONNECT.
async fn open_tunnel(
    to_proxy: Connection,
    credential: Option<HeaderValue>,
    server: &str,
) -> Result<Connection, Opening> {
    let (mut sender, connection) = http1::Builder::new()
        // Some proxies know no other spelling.
        .title_case_headers(true)
        .handshake(to_proxy)
        .await?;
    let driver = tokio::spawn(connection.with_upgrades());
    let mut request = Request::connect(server).header(HOST, server);
    if let Some(credential) = credential {
        request = request.header(PROXY_AUTHORIZATION, credential);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        driver.abort();
        return Err(Opening::Refused(response.status()));
    }
    let tunnel = hyper::upgrade::on(response).await?.downcast::<Connection>();
    let tunnel = tunnel.expect("the connection to the proxy is of this type");
    // TLS and HTTP let the client speak first.
    match tunnel.read_buf.is_empty() {
        true => Ok(tunnel.io),
        false => Err(Opening::Failed("it sent more than the response".into())),
    }
}

/// Why there is no tunnel.
enum Opening {
    Refused(StatusCode),
    Failed(BoxError),
}

impl<E: Into<BoxError>> From<E> for Opening {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The host and the port of a server, as a CONNECT names it.
fn host_and_port(server: &Uri) -> String {
    let port = match server.scheme() == Some(&Scheme::HTTP) {
        true => 80,
        false => 443,
    };
    let port = server.port_u16().unwrap_or(port);
    format!("{}:{port}", server.host().unwrap_or_default())
}

fn tcp() -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::default());
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(DEFAULT_TIMEOUT));
    // A body has no timeout, so this finds an upstream that has vanished.
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

/// How long a connection is silent before it is checked.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);
