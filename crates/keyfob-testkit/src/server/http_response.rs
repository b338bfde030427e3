//! A scripted response that has a head and a body.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::server::wire::Fault;

/// A head and a body.
#[derive(Clone, Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) framing: Framing,
    pub(crate) pace: Option<Pace>,
    pub(crate) cut: Option<Cut>,
}

impl HttpResponse {
    /// Head and body as HTTP/1.1 (RFC 9112 §2.1). A body that is not held in memory is left out.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.as_ref(),
            Content::Zeros(_) => &[],
        };
        let mut bytes = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", content.len()).as_bytes());
        bytes.extend_from_slice(content);
        bytes.into()
    }
}

/// What a body consists of.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Zeros(u64),
}

/// Whether a `Content-Length` announces the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
}

/// How slowly a body is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) chunk: usize,
    pub(crate) interval: Duration,
}

/// Where a body is truncated, and how.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) bytes: u64,
    pub(crate) fault: Fault,
}
