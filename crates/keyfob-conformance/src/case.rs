//! One case: how the client is set up, what it sends, how the servers respond, and what must come of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expectation::Expectation;

/// One case of the table.
///
/// All texts may hold placeholders: `{a}` is the origin of the server named `a`, such as `http://127.0.0.1:40123`, and
/// `{a.port}` its port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The row of the grid.
    pub group: String,
    /// A sentence that is unique in its group.
    pub name: String,
    /// The promise of docs/reference/contract.md, such as `R4`.
    pub promise: String,
    /// How the client is set up.
    pub client: Client,
    /// What it sends, one after the other.
    pub requests: Vec<Request>,
    /// How each server responds.
    pub servers: BTreeMap<String, Script>,
    /// What must come of it. Where a promise leaves a choice, one of several is enough.
    pub expect: Vec<Expectation>,
}

/// How a client is set up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// The origins that the credential is bound to. If there are none, it may go to any https origin and to this machine.
    pub origins: Vec<String>,
    /// The origins outside this machine that may have it over plain http.
    pub plain_http: Vec<String>,
    /// The header field that carries the token alone, instead of `Authorization: Bearer`.
    pub header: Option<String>,
    /// The statuses that mean a rejected token, in addition to 401.
    pub rejected_statuses: Vec<u16>,
    /// What the calls of the source bring. After the last, and if there are none, the nth call brings `token-n`.
    pub fetches: Vec<Fetched>,
    /// The timeout of an attempt.
    pub timeout_ms: u64,
    /// The retry policy of the client.
    pub retry: Retry,
    /// Header fields that the client sends with every request.
    pub default_headers: Vec<(String, String)>,
    /// Environment variables of the process.
    pub environment: BTreeMap<String, String>,
    /// What the netrc file holds, if there is one; the runner writes it and sets `NETRC` and `HOME`.
    pub netrc: Option<String>,
}

/// What one call of the source brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetched {
    /// This token, for an hour.
    Token(String),
    /// An error.
    Failure,
}

/// The retry policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// How often a request is sent, the first time included.
    pub attempts: u32,
    /// The time in which an attempt may begin.
    pub total_ms: u64,
    /// The upper bound of the first pause.
    pub first_pause_ms: u64,
    /// The upper bound of all pauses.
    pub longest_pause_ms: u64,
    /// Statuses that are retried as well.
    pub also: Vec<u16>,
}

/// One request as the caller makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The header fields that the caller sets.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Whether the caller marks the request as safe to repeat.
    pub idempotent: bool,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// No body.
    None,
    /// A body in memory.
    Bytes {
        /// The whole body.
        text: String,
    },
    /// An open file, at an offset from its start.
    File {
        /// What the whole file holds.
        text: String,
        /// Where the body begins.
        offset: usize,
        /// Where the file is; the runner writes it.
        path: String,
    },
    /// Pieces that can be read only once, and whose number is not known before.
    Generator {
        /// The pieces.
        pieces: Vec<String>,
    },
    /// `multipart/form-data` with text fields.
    Multipart {
        /// Names and texts.
        fields: Vec<(String, String)>,
    },
}

/// How a server responds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// What kind of server it is.
    pub listens: Listens,
    /// Its responses, in the order in which requests arrive.
    pub responses: Vec<Response>,
    /// The response to all later requests. Without one they are errors of the case.
    pub then: Option<Response>,
}

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listens {
    /// Plain http on 127.0.0.1. It also records what a client sends to a proxy.
    Plain,
    /// Plain http on `[::1]`.
    Ipv6,
    /// Https on 127.0.0.1, with a certificate for it and for localhost that all drivers trust.
    Tls,
    /// Nothing: the port refuses connections.
    Refused,
}

/// One scripted response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// Whether the body is compressed, with a `Content-Encoding`.
    pub gzip: bool,
    /// How it goes wrong.
    pub fault: Option<Fault>,
}

/// How a response goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is reset before a byte is sent.
    Reset,
    /// The connection is closed before a byte is sent.
    Close,
    /// Bytes arrive that are not HTTP.
    Garbage,
    /// The connection is reset while the request body arrives.
    ResetInUpload,
    /// No byte is sent, and the connection stays open.
    StallBeforeHead,
    /// Half of the head is sent, and the connection is closed.
    CutHead,
    /// Half of the head is sent, and the connection stays open.
    StallInHead,
    /// The head and the first byte of the body are sent, and the connection stays open.
    StallInBody,
    /// The head and half of the body are sent, and the connection is closed.
    CutBody,
    /// The head and half of the body are sent, and the connection is reset.
    ResetBody,
    /// The body comes byte by byte, with pauses of 200 ms.
    SlowBody,
}

impl Client {
    /// The timeout of an attempt, unless a case sets it. No case waits this long, unless it fails.
    pub const TIMEOUT_MS: u64 = 10_000;
}

impl Default for Client {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            plain_http: Vec::new(),
            header: None,
            rejected_statuses: Vec::new(),
            fetches: Vec::new(),
            timeout_ms: Self::TIMEOUT_MS,
            retry: Retry::default(),
            default_headers: Vec::new(),
            environment: BTreeMap::new(),
            netrc: None,
        }
    }
}

impl Default for Retry {
    /// The default policy, with shorter pauses.
    fn default() -> Self {
        Self {
            attempts: 4,
            total_ms: 30_000,
            first_pause_ms: 2,
            longest_pause_ms: 10,
            also: Vec::new(),
        }
    }
}

impl Body {
    /// The bytes that a server must receive; `None` if they are not known before.
    #[must_use]
    pub fn content(&self) -> Option<String> {
        match self {
            Self::None => Some(String::new()),
            Self::Bytes { text } => Some(text.clone()),
            Self::File { text, offset, .. } => Some(text[*offset..].to_owned()),
            Self::Generator { pieces } => Some(pieces.concat()),
            // The boundary is the client's choice.
            Self::Multipart { .. } => None,
        }
    }
}
