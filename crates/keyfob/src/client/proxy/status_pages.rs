//! Health and metrics, on a listener of their own: never on one of the routes (P7).

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Map, Value, json};

use crate::client::proxy::access_log::AccessLog;
use crate::client::proxy::admission::Admission;
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::listener::Listener;
use crate::client::proxy::metrics::Metrics;
use crate::client::proxy::proxy::Proxy;
use crate::client::proxy::server::Server;
use crate::client::proxy::server::connection::Connection;
use crate::client::proxy::server::stop::Stopping;
use crate::pool::pool::PoolStatus;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct StatusRules {
    /// The routes whose tokens are shown.
    pub proxy: Proxy,
    /// Which requests are taken; see [`Admission::without_secret`].
    pub admission: Admission,
    /// The log whose lost lines are counted.
    pub log: Option<Arc<AccessLog>>,
}

/// The pages `/healthz`, `/readyz` and `/metrics` of a proxy. They show no secret.
///
/// * `/healthz` is 200 for as long as the process serves requests.
/// * `/readyz` is 200 if each route has a token and the proxy is not about to stop, and otherwise 503. Its JSON has the state of
///   each route. A route with a pool counts as ready, because a missing token of one client is no failure of the others.
/// * `/metrics` is the text format of Prometheus.
pub struct StatusPages {
    rules: ArcSwap<StatusRules>,
    metrics: Arc<Metrics>,
    /// Whether the listeners of the routes are about to stop.
    routes: Stopping,
}

impl StatusPages {
    /// Makes the pages. `routes` is what the listeners of the routes watch.
    #[must_use]
    pub fn new(rules: StatusRules, metrics: Arc<Metrics>, routes: Stopping) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            metrics,
            routes,
        }
    }

    /// Shows other routes from now on.
    pub fn replace(&self, rules: StatusRules) {
        self.rules.store(Arc::new(rules));
    }

    /// Serves the pages until the server is stopped; see [`Server::serve`].
    pub async fn serve(self: Arc<Self>, server: &Server, listener: Listener, stopping: Stopping) {
        let accepts = |peer| self.rules.load().admission.accepts(peer);
        let make = |connection: &Arc<Connection>| {
            let (pages, connection) = (Arc::clone(&self), Arc::clone(connection));
            service_fn(move |request: Request<Incoming>| {
                let response = pages.respond(request, &connection);
                std::future::ready(Ok::<_, Infallible>(response))
            })
        };
        server.serve(listener, stopping, accepts, make).await;
    }

    fn respond(&self, request: Request<Incoming>, connection: &Connection) -> Response<ProxyBody> {
        let rules = self.rules.load();
        let (head, _) = request.into_parts();
        if let Err(refusal) = rules.admission.admit(&head) {
            self.metrics.refused(refusal);
            connection.refuse();
            return refusal.response(head.version);
        }
        connection.admit();
        let (status, kind, text) = match head.uri.path() {
            _ if head.method != Method::GET && head.method != Method::HEAD => (
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "GET only\n".to_owned(),
            ),
            "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => self.readiness(&rules.proxy),
            "/metrics" => {
                let lost = rules.log.as_ref().map_or(0, |log| log.lost());
                (
                    StatusCode::OK,
                    PROMETHEUS,
                    self.metrics.text(&rules.proxy, lost),
                )
            }
            _ => (
                StatusCode::NOT_FOUND,
                TEXT,
                "see /healthz, /readyz and /metrics\n".to_owned(),
            ),
        };
        let mut response = Response::new(ProxyBody::own(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn readiness(&self, proxy: &Proxy) -> (StatusCode, HeaderValue, String) {
        let mut is_ready = !self.routes.is_draining();
        let mut routes = Map::new();
        for route in proxy.routes() {
            if let Some(pool) = route.pool() {
                routes.insert(route.name().to_owned(), pool_state(&pool.status()));
                continue;
            }
            let status = route.tokens().status();
            is_ready &= status.authenticated;
            let state = json!({
                "ready": status.authenticated,
                "expires_in": status.expires_in.map(|left| left.as_secs()),
                "renewing": status.renewing,
                "last_error": status.last_error.map(|kind| kind.name()),
            });
            routes.insert(route.name().to_owned(), state);
        }
        let state = json!({
            "ready": is_ready,
            "draining": self.routes.is_draining(),
            "routes": Value::Object(routes),
        });
        let status = match is_ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, JSON, format!("{state}\n"))
    }
}

/// The state of a route with a token for each of many. It names none of them.
fn pool_state(pool: &PoolStatus) -> Value {
    json!({
        "ready": true,
        "entries": pool.entries,
        "fetching": pool.fetching,
        "queued": pool.queued,
    })
}

impl fmt::Debug for StatusPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPages").finish_non_exhaustive()
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
