//! Servers over TLS, and the certificates for them and their clients.

pub(crate) mod authority;
pub(crate) mod server;
