//! A reverse proxy with everything around it: who may use it, what is logged and counted, and routes that can be replaced (P3, P7).

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;

use crate::client::proxy::access_log::AccessLog;
use crate::client::proxy::admission::Admission;
use crate::client::proxy::admission::refusal::Refusal;
use crate::client::proxy::arrival::Arrival;
use crate::client::proxy::listener::{Listener, Peer};
use crate::client::proxy::metrics::{Metrics, OpenConnection};
use crate::client::proxy::proxy::Proxy;
use crate::client::proxy::record::{CountedRequestBody, Record, RecordedBody};
use crate::client::proxy::route::Route;
use crate::client::proxy::server::Server;
use crate::client::proxy::server::connection::Connection;
use crate::client::proxy::server::stop::Stopping;

/// What serves the requests of a listener. It can be replaced while requests are in progress, which end by the earlier rules.
#[derive(Clone, Debug)]
pub struct ReverseRules {
    /// The routes.
    pub proxy: Proxy,
    /// Who may use them.
    pub admission: Admission,
    /// How a request is given its route.
    pub arrival: Arrival,
    /// Where requests are logged.
    pub log: Option<Arc<AccessLog>>,
}

/// Serves the routes of a [`Proxy`] to admitted clients. One value belongs to one listener.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use keyfob::EnvToken;
/// use keyfob::proxy::{
///     Admission, Arrival, Limits, Listener, Metrics, Proxy, ReverseRules, ReverseServer, Route, Server, Stop,
/// };
///
/// let route = Route::new("github", "https://api.github.com/", EnvToken::new("GITHUB_TOKEN"))?;
/// let listener = Listener::bind(&"/run/user/1000/keyfob/github.sock".parse()?)?;
/// let rules = ReverseRules {
///     proxy: Proxy::new([route])?,
///     admission: Admission::new(&listener),
///     arrival: Arrival::on_route("github"),
///     log: None,
/// };
/// let (reverse, stop) = (ReverseServer::new(rules, Arc::new(Metrics::default())), Stop::new());
/// let server = Server::new(Limits::default());
/// tokio::spawn({
///     let (reverse, stopping) = (Arc::new(reverse), stop.watch());
///     async move { reverse.serve(&server, listener, stopping).await }
/// });
/// // Later, for example on a signal:
/// stop.drain(Duration::from_secs(30)).await;
/// # Ok(())
/// # }
/// ```
pub struct ReverseServer {
    rules: ArcSwap<ReverseRules>,
    metrics: Arc<Metrics>,
}

/// What the requests of a connection share.
struct Visit {
    reverse: Arc<ReverseServer>,
    connection: Arc<Connection>,
    /// What the log calls a client without a secret.
    user: Option<Arc<str>>,
    _open: OpenConnection,
}

impl ReverseServer {
    /// Makes a server with these rules.
    #[must_use]
    pub fn new(rules: ReverseRules, metrics: Arc<Metrics>) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            metrics,
        }
    }

    /// Uses other rules from the next request on.
    pub fn replace(&self, rules: ReverseRules) {
        self.rules.store(Arc::new(rules));
    }

    /// Accepts connections at a listener until it is stopped; see [`Server::serve`].
    pub async fn serve(self: Arc<Self>, server: &Server, listener: Listener, stopping: Stopping) {
        let accepts = |peer| self.rules.load().admission.accepts(peer);
        let make = |connection: &Arc<Connection>| {
            let visit = Arc::new(Visit {
                reverse: Arc::clone(&self),
                user: user(connection.peer()),
                connection: Arc::clone(connection),
                _open: self.metrics.open_connection(connection.listener()),
            });
            service_fn(move |request| {
                let visit = Arc::clone(&visit);
                async move {
                    let response = visit.reverse.respond(request, &visit).await;
                    Ok::<_, Infallible>(response)
                }
            })
        };
        server.serve(listener, stopping, accepts, make).await;
    }

    async fn respond(&self, request: Request<Incoming>, visit: &Visit) -> Response<RecordedBody> {
        let (rules, connection) = (self.rules.load_full(), &visit.connection);
        let (mut head, body) = request.into_parts();
        let mut record = Record::new(&self.metrics, rules.log.clone(), connection, &head);
        let client = match rules.admission.admit(&head) {
            Ok(client) => client,
            Err(refusal) => {
                connection.refuse();
                return self.refuse(refusal, record, head.version);
            }
        };
        connection.admit();
        // A route of other listeners is none here.
        let name = rules.arrival.route_of(head.uri.path());
        let route = name.and_then(|name| rules.proxy.route(name));
        let key = rules
            .admission
            .key(route.map(Route::name), client.as_deref(), &mut head.headers);
        match key {
            Ok(key) => _ = key.map(|key| head.extensions.insert(key)),
            Err(refusal) => {
                record.client = client;
                return self.refuse(refusal, record, head.version);
            }
        }
        if let Some(route) = route {
            record.on(route);
        }
        let label = client.or_else(|| visit.user.clone());
        record.client.clone_from(&label);
        let arrival = label
            .into_iter()
            .fold(rules.arrival.clone(), Arrival::client);
        let body = CountedRequestBody::new(body, &mut record);
        let mut request = Request::from_parts(head, body);
        // What follows an upgrade goes on without this.
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(Arc::clone(connection));
        }
        let mut response = rules.proxy.respond(request, &arrival).await;
        remove_permissions(response.headers_mut());
        record.of(response)
    }

    fn refuse(
        &self,
        refusal: Refusal,
        mut record: Record,
        version: Version,
    ) -> Response<RecordedBody> {
        self.metrics.refused(refusal);
        record.refusal = Some(refusal);
        record.of(refusal.response(version))
    }
}

impl fmt::Debug for ReverseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseServer")
            .field("rules", &self.rules.load())
            .finish_non_exhaustive()
    }
}

/// The label of a process of this machine.
fn user(peer: Peer) -> Option<Arc<str>> {
    match peer {
        Peer::User(_) => Some(peer.to_string().into()),
        Peer::Address(_) => None,
    }
}

/// Removes what would let a page of another site read the response. The upstream meant its own address, not this machine's.
fn remove_permissions(headers: &mut HeaderMap) {
    let is_permission = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let permissions: Vec<_> = headers.keys().filter(is_permission).cloned().collect();
    for name in permissions {
        headers.remove(name);
    }
}
