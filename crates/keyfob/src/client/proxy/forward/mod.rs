//! A forward proxy for one program that must not see a token: `keyfob run --proxy`.
//!
//! A [`ForwardProxy`] takes the requests of a program that was given its URL as `HTTPS_PROXY` and `HTTP_PROXY`. A
//! [`BoundOrigin`] is a server with its credential: the proxy opens the program's TLS connection to it with a certificate of
//! its own authority, and sends the requests on the server's route. Connections to other hosts are refused, or passed on
//! unopened if they were allowed, and never carry a credential.
//!
//! The program gets a [`StandIn`] in place of each token. It is worth nothing elsewhere.

pub(crate) mod authority;
pub(crate) mod bound_origin;
mod connection;
pub(crate) mod destination;
mod form;
pub(crate) mod forward_proxy;
mod refusal;
pub(crate) mod stand_in;
mod target;
mod tls;
mod tunnel;

pub use crate::client::proxy::forward::bound_origin::BoundOrigin;
pub use crate::client::proxy::forward::forward_proxy::{ForwardProxy, ForwardProxyBuilder};
pub use crate::client::proxy::forward::stand_in::StandIn;
