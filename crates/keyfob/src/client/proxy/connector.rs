//! Connects to an upstream: directly, or through the proxy that the environment names.

use std::error::Error as StdError;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, FutureExt};
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::client::proxy::local_names::Resolver;
use crate::client::proxy::upstream_tls::UpstreamTls;
use crate::error::error::{BoxError, Error, causes};
use crate::exchange::outcome::DEFAULT_TIMEOUT;
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
    Through(OutboundProxy, Box<Tunnel<HttpsConnector<Tcp>>>),
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
        let tunnel = Tunnel::new(proxy.0.uri().clone(), to_proxy);
        let tunnel = match proxy.0.basic_auth() {
            Some(credential) => tunnel.with_auth(credential.clone()),
            None => tunnel,
        };
        Self::Through(proxy, Box::new(tunnel))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Through(_, tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, upstream: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => tcp
                .call(upstream)
                .map_ok(MaybeHttpsStream::Http)
                .err_into()
                .boxed(),
            Self::Through(proxy, tunnel) => {
                let proxy = proxy.0.uri().clone();
                tunnel
                    .call(with_port(upstream))
                    .map_err(|cause| {
                        let cause = cause.into();
                        BoxError::from(NoTunnel { proxy, cause })
                    })
                    .boxed()
            }
        }
    }
}

/// The proxy has not connected to the upstream.
#[derive(Debug)]
pub(super) struct NoTunnel {
    proxy: Uri,
    cause: BoxError,
}

impl NoTunnel {
    /// Which proxy failed, and why, if this is the cause of an error.
    pub(super) fn reason(error: &(dyn StdError + 'static)) -> Option<String> {
        causes(error)
            .find_map(|cause| cause.downcast_ref::<Self>())
            .map(|failure| format!("{failure}: {}", failure.cause))
    }
}

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.proxy.scheme_str(), self.proxy.authority());
        write!(
            f,
            "the proxy {}://{}, which the environment names, has not connected to it",
            scheme.unwrap_or("http"),
            authority.map_or("", |authority| authority.as_str()),
        )
    }
}

impl StdError for NoTunnel {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

/// The same server, with its port written out: a tunnel takes 443 for a port that is missing.
fn with_port(uri: Uri) -> Uri {
    let is_plain = uri.scheme() == Some(&Scheme::HTTP) && uri.port().is_none();
    let authority = uri
        .authority()
        .filter(|_| is_plain)
        .and_then(|authority| format!("{authority}:80").parse().ok());
    let Some(authority) = authority else {
        return uri;
    };
    let mut parts = uri.into_parts();
    parts.authority = Some(authority);
    Uri::from_parts(parts).expect("only the port of a URI was added")
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
