//! The async session, and what the blocking session shares with it.

#[cfg(feature = "blocking")]
pub(crate) mod blocking_client;
pub(crate) mod builder;
pub(crate) mod http_client;
pub(crate) mod moving_body;
pub(crate) mod request;
pub(crate) mod response_body;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod shared_methods;

pub use crate::client::session::builder::SessionBuilder;
pub use crate::client::session::request::RequestBuilder;
