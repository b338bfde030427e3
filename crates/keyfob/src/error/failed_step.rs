//! At which step of its connection a request failed.

/// The step at which a request failed, which [`Error::failed_step`](crate::Error::failed_step) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailedStep {
    /// The name of the host, or of a proxy before it, was not resolved to an address.
    Resolve,
    /// There was no connection, as when it is refused.
    Connect,
    /// The TLS handshake failed, but not because of the certificate of the server.
    Handshake,
    /// The certificate of the server is not trusted, is for another host, or has expired.
    Certificate,
    /// The server closed the connection before it had sent a response.
    NoResponse,
    /// The connection broke before the response had begun.
    Receive,
}
