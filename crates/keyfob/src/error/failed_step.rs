//! At which step of its connection a request failed.

/// The step at which a request failed, which [`Error::failed_step`](crate::Error::failed_step) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailedStep {
    /// The name of the host was not resolved to an address.
    Resolve,
    /// The name of the proxy that the environment names was not resolved to an address.
    ResolveProxy,
    /// There was no connection to the server or to a proxy, as when it is refused.
    Connect,
    /// A proxy refused to connect this machine to the server.
    Tunnel,
    /// The TLS handshake failed, but not because of the certificate of the server.
    Handshake,
    /// The certificate of the server is not trusted, is for another host, or has expired.
    Certificate,
    /// The server closed the connection before it had sent a response.
    NoResponse,
    /// The connection broke before the response had begun.
    Receive,
}
