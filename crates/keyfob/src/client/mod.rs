//! Whatever sends requests: sessions, the tower layer, the middleware, and the parts for a client of your own.

pub(crate) mod authenticator;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(any(feature = "session", feature = "tower"))]
pub(crate) mod builder_setters;
pub mod custom_client;
#[cfg(feature = "oauth")]
pub(crate) mod dpop_setter;
#[cfg(feature = "middleware")]
pub mod middleware;
#[cfg(any(feature = "session", feature = "tower"))]
pub(crate) mod response_timeout;
#[cfg(any(feature = "tower", feature = "middleware"))]
pub(crate) mod retry_loop;
#[cfg(feature = "session")]
pub mod session;
#[cfg(any(feature = "session", feature = "tower"))]
pub(crate) mod shared_timer;
#[cfg(feature = "tower")]
pub mod tower;
