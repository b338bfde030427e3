//! What the server does with one request.
//!
//! Most responses have a status, headers and a body. The others are faults of networks and broken servers: they reset or close
//! the connection, hang, send something that is not HTTP, or stop in the middle.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::server::gate::{Gate, GateWaiter};
use crate::server::http_response::{Content, Cut, Framing, HttpResponse, Pace};
use crate::server::wire::Fault;

/// What the server does with one request: a response or a fault.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::{ScriptedResponse, json};
///
/// // Responses:
/// ScriptedResponse::status(204);
/// ScriptedResponse::json(json!({"id": 7})).with_status(201).header("etag", "\"7\"");
/// ScriptedResponse::unavailable().header("retry-after", "1").after(Duration::from_millis(50));
/// ScriptedResponse::stream(2_000_000_000);
/// // Faults:
/// ScriptedResponse::reset();
/// ScriptedResponse::text("half of it").cut_body_after(4);
/// ScriptedResponse::text("letter by letter").slow_body(1, Duration::from_millis(10));
/// ```
#[derive(Clone, Debug)]
pub struct ScriptedResponse {
    pub(crate) outcome: Outcome,
    pub(crate) upload: Upload,
    pub(crate) delay: Duration,
    pub(crate) gate: Option<GateWaiter>,
}

/// How a request ends.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Respond(Box<HttpResponse>),
    Hang,
    Break(Fault),
}

/// How much of the request body is read before the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    Whole,
    Half,
    Nothing,
}

/// Responses with a head and a body.
impl ScriptedResponse {
    /// Responds with this status and no body.
    ///
    /// # Panics
    ///
    /// If it is not a status from 200 to 999.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Outcome::Respond(Box::new(HttpResponse {
            status: parse_status(status),
            headers: HeaderMap::new(),
            content: Content::Bytes(Bytes::new()),
            framing: Framing::Length,
            pace: None,
            cut: None,
        })))
    }

    /// Responds with 200 and a JSON body.
    #[must_use]
    pub fn json(value: serde_json::Value) -> Self {
        Self::bytes(value.to_string()).header(CONTENT_TYPE.as_str(), "application/json")
    }

    /// Responds with 200 and a plain text body.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into()).header(CONTENT_TYPE.as_str(), "text/plain; charset=utf-8")
    }

    /// Responds with 200 and these bytes and no `Content-Type`.
    #[must_use]
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    /// Responds with 200 and this many zero bytes, which are not held in memory.
    #[must_use]
    pub fn stream(total_bytes: u64) -> Self {
        Self::status(200).change(|response| response.content = Content::Zeros(total_bytes))
    }

    /// Responds with 401 and this `WWW-Authenticate`.
    #[must_use]
    pub fn unauthorized(challenge: &str) -> Self {
        Self::status(401).header(WWW_AUTHENTICATE.as_str(), challenge)
    }

    /// Responds with 429 and this `Retry-After`: seconds or an HTTP date.
    #[must_use]
    pub fn too_many_requests(retry_after: &str) -> Self {
        Self::status(429).header(RETRY_AFTER.as_str(), retry_after)
    }

    /// Responds with 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::status(503)
    }

    /// Responds with a redirect to this `Location`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header(LOCATION.as_str(), location)
    }

    /// Adds a header; the same name twice gives two headers.
    ///
    /// # Panics
    ///
    /// If HTTP does not allow the name or the value, or if the response is a fault.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        self.change(|response| {
            response.headers.append(name, value);
        })
    }

    /// Replaces the status.
    ///
    /// # Panics
    ///
    /// If it is not a status from 200 to 999, or if the response is a fault.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        let status = parse_status(status);
        self.change(|response| response.status = status)
    }

    /// Replaces the body.
    ///
    /// # Panics
    ///
    /// If the response is a fault.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.change(|response| response.content = Content::Bytes(body))
    }

    /// Sends the body without a `Content-Length`: chunked in HTTP/1.1.
    ///
    /// # Panics
    ///
    /// If the response is a fault.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.change(|response| response.framing = Framing::Chunked)
    }

    /// Sends the body in pieces of at most this many bytes, with a pause before each piece except the first.
    ///
    /// # Panics
    ///
    /// If `chunk` is zero, or if the response is a fault.
    #[must_use]
    pub fn slow_body(self, chunk: usize, interval: Duration) -> Self {
        assert!(chunk > 0, "a slow body needs pieces of at least one byte");
        self.change(|response| response.pace = Some(Pace { chunk, interval }))
    }

    /// Announces the whole body, sends this many bytes of it, and closes the connection.
    ///
    /// Over HTTP/2 the stream is reset, and the connection stays open.
    ///
    /// # Panics
    ///
    /// If the response is a fault.
    #[must_use]
    pub fn cut_body_after(self, bytes: u64) -> Self {
        let fault = Fault::Close;
        self.change(|response| response.cut = Some(Cut { bytes, fault }))
    }

    /// Announces the whole body, sends this many bytes of it, and resets the connection.
    ///
    /// A reset discards what the client has not read yet: it may see fewer bytes, or not even the head.
    ///
    /// # Panics
    ///
    /// If the response is a fault.
    #[must_use]
    pub fn reset_body_after(self, bytes: u64) -> Self {
        let fault = Fault::Reset;
        self.change(|response| response.cut = Some(Cut { bytes, fault }))
    }

    /// The same response over HTTP/1.1, of which only this many bytes of head and body are sent.
    pub(crate) fn cut_after(&self, bytes: usize) -> Self {
        let Outcome::Respond(response) = &self.outcome else {
            return self.clone();
        };
        let whole = response.to_bytes();
        Self::raw(whole.slice(..bytes.min(whole.len() - 1)))
    }

    fn change(mut self, change: impl FnOnce(&mut HttpResponse)) -> Self {
        let Outcome::Respond(response) = &mut self.outcome else {
            panic!("this response is a fault: it has no status, headers or body");
        };
        change(response);
        self
    }
}

/// Faults.
impl ScriptedResponse {
    /// Resets the connection (TCP RST) without sending a byte.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Outcome::Break(Fault::Reset))
    }

    /// Resets the connection (TCP RST) when half of the request body has arrived.
    ///
    /// That is half of the `Content-Length`, or the first piece if there is none. If a condition reads the body, such as
    /// [`Expect::form`](crate::Expect::form), or if a closure responds, the whole body is read first.
    #[must_use]
    pub fn reset_in_upload() -> Self {
        let mut response = Self::reset();
        response.upload = Upload::Half;
        response
    }

    /// Closes the connection in order (TCP FIN) without sending a byte.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Outcome::Break(Fault::Close))
    }

    /// Sends bytes that are not HTTP, and closes the connection.
    #[must_use]
    pub fn garbage() -> Self {
        Self::raw(GARBAGE)
    }

    /// Sends exactly these bytes instead of a head and a body, and closes the connection.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Outcome::Break(Fault::Raw(bytes.into())))
    }

    /// Sends exactly these bytes instead of a head and a body, and then nothing until the client ends the connection.
    #[must_use]
    pub fn raw_then_hang(bytes: impl Into<Bytes>) -> Self {
        Self::new(Outcome::Break(Fault::Stall(bytes.into())))
    }

    /// Never responds; the connection stays open until the client or the server ends it.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Outcome::Hang)
    }
}

/// When the response is sent.
impl ScriptedResponse {
    /// Waits before the first byte of the response, or before the fault.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits for the gate before the first byte of the response, or before the fault.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.waiter());
        self
    }

    /// Responds without reading the request body, like a server that refuses early.
    ///
    /// The exceptions of [`reset_in_upload`](Self::reset_in_upload) apply here too.
    #[must_use]
    pub fn without_reading(mut self) -> Self {
        self.upload = Upload::Nothing;
        self
    }

    /// Returns the status, or `None` for a fault.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Respond(response) => Some(response.status.as_u16()),
            Outcome::Hang | Outcome::Break(_) => None,
        }
    }

    fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            upload: Upload::Whole,
            delay: Duration::ZERO,
            gate: None,
        }
    }
}

fn parse_status(status: u16) -> StatusCode {
    let status = StatusCode::from_u16(status).expect("a status from 200 to 999");
    assert!(
        !status.is_informational(),
        "a response has a final status, not {status}"
    );
    status
}

const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP\r\n\r\n\0\xff";
