//! The connections of a route to its upstream.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::UPGRADE;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use crate::client::idle_timeout::IdleTimeout;
use crate::client::proxy::connector::{Connector, KEEP_ALIVE, OutboundProxy};
use crate::client::proxy::grpc;
use crate::client::proxy::recorded_body::RequestBody;
use crate::client::proxy::upstream_tls::UpstreamTls;
use crate::error::error::{BoxError, Error};
use crate::exchange::outcome::{DEFAULT_TIMEOUT, Failure};
use crate::origin::ca_file::Trust;
use crate::origin::certified_client::CertifiedClient;
use crate::origin::client_certificate::ClientCertificate;
use crate::origin::origin::Origin;

/// What sends the attempts of a route's requests. Clones share the connections.
#[derive(Clone)]
pub(super) struct Upstream(Arc<Shared>);

struct Shared {
    origin: Origin,
    connections: Presented,
    timeout: IdleTimeout,
}

enum Presented {
    Always(Box<Connections>),
    /// They are made anew when the client certificate changes.
    With(CertifiedClient<Connections>),
}

#[derive(Clone)]
struct Connections {
    usual: HyperClient,
    /// For https, HTTP/1.1 only: in HTTP/2, connections cannot be upgraded to another protocol. For plain http, HTTP/2 only,
    /// which gRPC needs: without TLS the two sides cannot agree on a version.
    other: HyperClient,
}

type HyperClient = Client<HttpsConnector<Connector>, RequestBody>;

impl Upstream {
    pub(super) fn new(
        origin: Origin,
        trust: Option<Trust<UpstreamTls>>,
        certificate: Option<&ClientCertificate>,
        timeout: IdleTimeout,
    ) -> Result<Self, Error> {
        let is_https = origin.is_https();
        let proxy = OutboundProxy::of_environment(&origin)?;
        let trust = trust.unwrap_or_else(|| Box::new(|tls| tls));
        let needs_tls = is_https || proxy.as_ref().is_some_and(OutboundProxy::is_https);
        let finish = move |tls| match needs_tls {
            true => Connections::new(trust(tls), is_https, proxy.clone()),
            false => Connections::new(UpstreamTls::unused(), is_https, proxy.clone()),
        };
        let connections = match certificate {
            None => Presented::Always(Box::new(finish(UpstreamTls::default())?)),
            Some(certificate) => {
                let certificate = Arc::new(certificate.clone());
                let client = CertifiedClient::new(certificate, UpstreamTls::default, finish)?;
                Presented::With(client)
            }
        };
        Ok(Self(Arc::new(Shared {
            origin,
            connections,
            timeout,
        })))
    }

    fn client_for(&self, headers: &HeaderMap) -> HyperClient {
        let needs_other = match self.0.origin.is_https() {
            true => headers.contains_key(UPGRADE),
            false => grpc::is_call(headers),
        };
        let chosen = |connections: &Connections| match needs_other {
            true => connections.other.clone(),
            false => connections.usual.clone(),
        };
        match &self.0.connections {
            Presented::Always(connections) => chosen(connections),
            Presented::With(certified) => chosen(&certified.current()),
        }
    }
}

impl Service<Request<RequestBody>> for Upstream {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Incoming>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let progress = request.body().progress().cloned();
        let method = request.method().clone();
        let response = self.client_for(request.headers()).request(request);
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            match shared.timeout.wait(response, progress.as_ref()).await {
                Some(response) => response.map_err(Into::into),
                None => {
                    let error = Failure::Timeout.error(&format!("{method} {}", shared.origin));
                    let cause = io::Error::from(io::ErrorKind::TimedOut);
                    Err(error.caused_by(cause).into())
                }
            }
        })
    }
}

impl Connections {
    fn new(tls: UpstreamTls, is_https: bool, proxy: Option<OutboundProxy>) -> Result<Self, Error> {
        let config = tls.into_config()?;
        let below = Connector::new(proxy, &config);
        let connector = || {
            HttpsConnectorBuilder::new()
                .with_tls_config(config.clone())
                .https_or_http()
        };
        let mut client = Client::builder(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(DEFAULT_TIMEOUT);
        let both = connector().enable_all_versions();
        let usual = client.build(both.wrap_connector(below.clone()));
        let other = match is_https {
            true => client.build(connector().enable_http1().wrap_connector(below)),
            false => {
                let connector = connector().enable_http2().wrap_connector(below);
                client.http2_only(true).build(connector)
            }
        };
        Ok(Self { usual, other })
    }
}

/// How long a connection is kept that no request uses.
const IDLE: Duration = Duration::from_secs(90);

/// How much of a response an upstream may send ahead of its reader, on HTTP/2. They bound the memory of a slow client.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
