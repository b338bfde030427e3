//! A reverse proxy in your own service: programs that know nothing of keyfob get an API whose requests carry a token.
//!
//! A [`Route`] is one upstream server with its credential. A [`Proxy`] is a set of routes: it takes the requests that your
//! HTTP server accepted, puts the token on them, and sends them to the route's upstream. Each request is judged by the
//! same rules as those of every other interface: the credential is renewed, retried and bound to an origin as there.
//!
//! The proxy does not listen, and does not decide who may connect. That is the task of the server around it: your own, or a
//! [`ReverseServer`] with a [`Listener`], an [`Admission`] and an [`AccessLog`]. [`Server`] accepts connections for any service.

pub(crate) mod access_log;
pub(crate) mod admission;
mod allowed;
pub(crate) mod arrival;
pub(crate) mod body;
pub(crate) mod client_secrets;
mod connector;
mod expectation;
mod failure;
pub mod forward;
mod grpc;
mod hop_by_hop;
pub(crate) mod listener;
mod local_names;
pub(crate) mod metrics;
pub(crate) mod problem;
pub(crate) mod proxy;
pub(crate) mod record;
mod recorded_body;
pub(crate) mod report;
mod request_head;
pub(crate) mod request_reader;
mod response_head;
pub(crate) mod reverse_server;
pub(crate) mod route;
pub(crate) mod route_builder;
pub(crate) mod server;
pub(crate) mod status_pages;
pub(crate) mod strict_stream;
mod target;
mod upgrade;
mod upstream;
mod upstream_tls;

pub use crate::client::proxy::access_log::AccessLog;
pub use crate::client::proxy::admission::{Admission, refusal::Refusal, subjects::Subjects};
pub use crate::client::proxy::arrival::{Arrival, CLIENT_SECRET};
pub use crate::client::proxy::body::ProxyBody;
pub use crate::client::proxy::client_secrets::ClientSecrets;
#[cfg(unix)]
pub use crate::client::proxy::listener::inherited::{ServiceState, notify};
pub use crate::client::proxy::listener::{ListenAddress, Listener, Peer};
pub use crate::client::proxy::metrics::Metrics;
pub use crate::client::proxy::proxy::Proxy;
pub use crate::client::proxy::report::Report;
pub use crate::client::proxy::reverse_server::{ReverseRules, ReverseServer};
pub use crate::client::proxy::route::Route;
pub use crate::client::proxy::route_builder::RouteBuilder;
pub use crate::client::proxy::server::{
    Server,
    connection::Connection,
    limits::Limits,
    stop::{Stop, Stopping},
};
pub use crate::client::proxy::status_pages::{StatusPages, StatusRules};
pub use crate::client::proxy::strict_stream::StrictStream;
