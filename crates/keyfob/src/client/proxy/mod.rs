//! A reverse proxy in your own service: programs that know nothing of keyfob get an API whose requests carry a token.
//!
//! A [`Route`] is one upstream server with its credential. A [`Proxy`] is a set of routes: it takes the requests that your
//! HTTP server accepted, puts the token on them, and sends them to the route's upstream. Each request is judged by the
//! same rules as those of every other interface: the credential is renewed, retried and bound to an origin as there.
//!
//! The proxy does not listen, and does not decide who may connect. That is the task of the server around it.

pub(crate) mod arrival;
pub(crate) mod body;
pub(crate) mod problem;
pub(crate) mod proxy;
pub(crate) mod report;
pub(crate) mod route;
pub(crate) mod route_builder;
pub(crate) mod strict_stream;

pub use crate::client::proxy::arrival::{Arrival, CLIENT_SECRET};
pub use crate::client::proxy::body::ProxyBody;
pub use crate::client::proxy::proxy::Proxy;
pub use crate::client::proxy::report::Report;
pub use crate::client::proxy::route::Route;
pub use crate::client::proxy::route_builder::RouteBuilder;
pub use crate::client::proxy::strict_stream::StrictStream;
