//! An answer that has a head and a body, as it was scripted.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::wire::Fault;

/// A head and a body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    pub(crate) framing: Framing,
    pub(crate) pace: Option<Pace>,
    pub(crate) cut: Option<Cut>,
}

/// What a body consists of.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Zeros(u64),
}

/// Whether the length of the body is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
}

/// How slowly a body goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) chunk: usize,
    pub(crate) interval: Duration,
}

/// Where a body ends too early, and how.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) bytes: u64,
    pub(crate) fault: Fault,
}
