//! What clients may cost a server.

use std::time::Duration;

/// What clients may cost the server. Each has a default, so that a client that behaves badly cannot exhaust the machine.
///
/// ```
/// use keyfob::proxy::{Limits, Server};
///
/// let mut limits = Limits::default();
/// limits.connections = 64;
/// let server = Server::new(limits);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections a listener has at once; further ones wait. For one that waits, the oldest connection is closed that
    /// had no request admitted for a second.
    pub connections: u32,
    /// How many requests an HTTP/2 connection has at once.
    pub streams: u32,
    /// How large the head of a request is, in bytes, and at least 8192. A larger one gets status 431.
    pub head_bytes: u32,
    /// How many header fields a request has. More get status 431.
    pub headers: u32,
    /// How long a connection may take for the head of its next request, or be idle.
    pub idle: Duration,
    /// How long a new connection may take for its first request that is admitted.
    pub first_request: Duration,
}

impl Limits {
    /// The connections of a listener, unless set.
    pub const CONNECTIONS: u32 = 1024;
    /// The requests of an HTTP/2 connection, unless set.
    pub const STREAMS: u32 = 128;
    /// The size of the head of a request, unless set: 64 KiB.
    pub const HEAD_BYTES: u32 = 64 * 1024;
    /// The header fields of a request, unless set.
    pub const HEADERS: u32 = 100;
    /// The time without a request, unless set.
    pub const IDLE: Duration = Duration::from_secs(60);
    /// The time until the first request, unless set.
    pub const FIRST_REQUEST: Duration = Duration::from_secs(10);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Self::CONNECTIONS,
            streams: Self::STREAMS,
            head_bytes: Self::HEAD_BYTES,
            headers: Self::HEADERS,
            idle: Self::IDLE,
            first_request: Self::FIRST_REQUEST,
        }
    }
}
