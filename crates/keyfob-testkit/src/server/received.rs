//! A request as the server received it.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// A request as a [`Server`](crate::Server) received it.
///
/// ```no_run
/// # let server = keyfob_testkit::Server::start();
/// let received = server.received();
/// assert_eq!(received[0].path, "/data");
/// assert_eq!(received[0].header("accept"), Some("application/json"));
/// assert_eq!(received[0].bearer(), Some("token-1"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path as it was sent, not decoded.
    pub path: String,
    /// The host and port in the request line. Over HTTP/1.1 a client sends them only to a proxy.
    pub authority: Option<String>,
    /// The query as it was sent, without its `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to the server's [`body_limit`](crate::ServerBuilder::body_limit).
    pub body: Bytes,
    /// How many bytes of the body arrived, whether they were kept or not.
    pub body_length: u64,
    /// The [`checksum`](crate::checksum) of all bytes of the body that arrived, whether they were kept or not.
    pub checksum: u64,
    /// The number of its connection; the server counts connections from 1.
    pub connection: u64,
    /// The time when its head had arrived.
    pub when: Instant,
}

impl Received {
    /// The first value of a header, if there is one and it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer …`, if there is exactly one `Authorization`.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.headers.get_all(http::header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim_start())
    }

    /// The decoded value of the first query parameter with this name.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        form_value(self.query.as_deref()?.as_bytes(), name)
    }

    /// The decoded value of the first form field with this name.
    ///
    /// The body is read as `application/x-www-form-urlencoded`, even if its `Content-Type` is another.
    #[must_use]
    pub fn form_value(&self, name: &str) -> Option<String> {
        form_value(&self.body, name)
    }

    /// The body as JSON, if it is JSON and was kept in full.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn form_value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
