//! What the server does about one request.
//!
//! Most answers are a status, headers and a body. The others are what networks and broken servers do: they reset,
//! close, hang, talk something else, or stop in the middle.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::gate::{Entrance, Gate};
use crate::reply::{Content, Cut, Framing, Pace, Reply};
use crate::wire::Fault;

/// What the server does about one request.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::{ScriptedResponse, json};
///
/// // Answers:
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
    pub(crate) gate: Option<Entrance>,
}

/// How a request ends.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Respond(Box<Reply>),
    Hang,
    Break(Fault),
}

/// How much of the request body is read before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    Whole,
    Half,
    Nothing,
}

/// Answers with a head and a body.
impl ScriptedResponse {
    /// Answers with this status and no body.
    ///
    /// # Panics
    ///
    /// If it is not a status from 200 to 999.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Outcome::Respond(Box::new(Reply {
            status: parse_status(status),
            headers: HeaderMap::new(),
            content: Content::Bytes(Bytes::new()),
            framing: Framing::Length,
            pace: None,
            cut: None,
        })))
    }

    /// Answers 200 with a JSON body.
    #[must_use]
    pub fn json(value: serde_json::Value) -> Self {
        Self::bytes(value.to_string()).header(CONTENT_TYPE.as_str(), "application/json")
    }

    /// Answers 200 with a plain text body.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into()).header(CONTENT_TYPE.as_str(), "text/plain; charset=utf-8")
    }

    /// Answers 200 with these bytes and no `Content-Type`.
    #[must_use]
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    /// Answers 200 with so many zero bytes, without holding them in memory.
    #[must_use]
    pub fn stream(total_bytes: u64) -> Self {
        Self::status(200).reply(|reply| reply.content = Content::Zeros(total_bytes))
    }

    /// Answers 401 with this `WWW-Authenticate`.
    #[must_use]
    pub fn unauthorized(challenge: &str) -> Self {
        Self::status(401).header(WWW_AUTHENTICATE.as_str(), challenge)
    }

    /// Answers 429 with this `Retry-After`: seconds or an HTTP date.
    #[must_use]
    pub fn too_many_requests(retry_after: &str) -> Self {
        Self::status(429).header(RETRY_AFTER.as_str(), retry_after)
    }

    /// Answers 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::status(503)
    }

    /// Answers with a redirect to this `Location`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header(LOCATION.as_str(), location)
    }

    /// Adds a header; the same name twice gives two headers.
    ///
    /// # Panics
    ///
    /// If the name or the value is not one that HTTP allows, or if the answer is a fault.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        let value = HeaderValue::try_from(value).expect("a header value");
        self.reply(|reply| {
            reply.headers.append(name, value);
        })
    }

    /// Replaces the status.
    ///
    /// # Panics
    ///
    /// If it is not a status from 200 to 999, or if the answer is a fault.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        let status = parse_status(status);
        self.reply(|reply| reply.status = status)
    }

    /// Replaces the body.
    ///
    /// # Panics
    ///
    /// If the answer is a fault.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.reply(|reply| reply.content = Content::Bytes(body))
    }

    /// Sends the body without a `Content-Length`: chunked in HTTP/1.1.
    ///
    /// # Panics
    ///
    /// If the answer is a fault.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.reply(|reply| reply.framing = Framing::Chunked)
    }

    /// Sends the body in pieces of at most so many bytes, with a pause before each but the first.
    ///
    /// # Panics
    ///
    /// If `chunk` is zero, or if the answer is a fault.
    #[must_use]
    pub fn slow_body(self, chunk: usize, interval: Duration) -> Self {
        assert!(chunk > 0, "a slow body needs pieces of at least one byte");
        self.reply(|reply| reply.pace = Some(Pace { chunk, interval }))
    }

    /// Promises the whole body, sends so many bytes of it, and closes the connection.
    ///
    /// Over HTTP/2 the stream is reset, and the connection stays.
    ///
    /// # Panics
    ///
    /// If the answer is a fault.
    #[must_use]
    pub fn cut_body_after(self, bytes: u64) -> Self {
        let fault = Fault::Close;
        self.reply(|reply| reply.cut = Some(Cut { bytes, fault }))
    }

    /// Promises the whole body, sends so many bytes of it, and resets the connection.
    ///
    /// A reset overtakes what the client has not read yet: it may see fewer bytes, or not even the head.
    ///
    /// # Panics
    ///
    /// If the answer is a fault.
    #[must_use]
    pub fn reset_body_after(self, bytes: u64) -> Self {
        let fault = Fault::Reset;
        self.reply(|reply| reply.cut = Some(Cut { bytes, fault }))
    }

    fn reply(mut self, change: impl FnOnce(&mut Reply)) -> Self {
        let Outcome::Respond(reply) = &mut self.outcome else {
            panic!("this answer is a fault: it has no status, headers or body");
        };
        change(reply);
        self
    }
}

/// Faults.
impl ScriptedResponse {
    /// Resets the connection (TCP RST) without a byte of answer.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Outcome::Break(Fault::Reset))
    }

    /// Resets the connection (TCP RST) when half of the request body has arrived.
    ///
    /// Half of the `Content-Length`; without one, the first piece. A body that is conditioned on (by
    /// [`Expect::form`](crate::Expect::form), say) and the body of a request that is answered by a closure are read
    /// in full first.
    #[must_use]
    pub fn reset_in_upload() -> Self {
        let mut answer = Self::reset();
        answer.upload = Upload::Half;
        answer
    }

    /// Closes the connection in order (TCP FIN) without a byte of answer.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Outcome::Break(Fault::Close))
    }

    /// Sends bytes that are not HTTP, and closes the connection.
    #[must_use]
    pub fn garbage() -> Self {
        Self::raw(GARBAGE)
    }

    /// Sends exactly these bytes, head and all, and closes the connection.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Outcome::Break(Fault::Raw(bytes.into())))
    }

    /// Never answers; the connection stays open until the client or the server goes.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Outcome::Hang)
    }
}

/// When the answer comes.
impl ScriptedResponse {
    /// Waits before the first byte of the answer, or before the fault.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits for the gate before the first byte of the answer, or before the fault.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.entrance());
        self
    }

    /// Does not read the request body first, as a server does that refuses early.
    ///
    /// The limits of [`reset_in_upload`](Self::reset_in_upload) apply.
    #[must_use]
    pub fn without_reading(mut self) -> Self {
        self.upload = Upload::Nothing;
        self
    }

    /// The status, unless the answer is a fault.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        match &self.outcome {
            Outcome::Respond(reply) => Some(reply.status.as_u16()),
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
        "an answer has a final status, not {status}"
    );
    status
}

const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP\r\n\r\n\0\xff";
