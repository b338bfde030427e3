//! What sends requests: the sessions, the tower layer, the middleware, and the parts for a client of your own.
//!
//! All of them run the loop in [`retry_loop`], which drives an [`Exchange`](crate::exchange::Exchange). A new interface
//! implements [`retry_loop::Attempts`] and holds [`settings::ClientSettings`] in its builder.

pub(crate) mod authenticator;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod custom_client;
pub(crate) mod idle_timeout;
#[cfg(feature = "middleware")]
pub mod middleware;
#[cfg(feature = "proxy")]
pub mod proxy;
pub(crate) mod retry_loop;
#[cfg(feature = "session")]
pub mod session;
pub(crate) mod settings;
pub(crate) mod shared_timer;
#[cfg(feature = "tower")]
pub mod tower;
