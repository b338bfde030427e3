//! What a driver is given, and what it returns. Both are one line of JSON.

use serde::{Deserialize, Serialize};

use crate::case::{Client, Request};

/// The part of a case that a driver sees, with real URLs, and with files in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// How the client is set up.
    pub client: Client,
    /// What it sends, one after the other.
    pub requests: Vec<Request>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the caller got for each request.
    pub results: Vec<CallerGot>,
    /// How often the source was called; `None` if this interface has no source.
    pub fetches: Option<u32>,
}

/// What the caller got for one request: a response, an error, or a response that broke off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerGot {
    /// The status of the response, if there is one.
    pub status: Option<u16>,
    /// The header fields of the response, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body of the response, decompressed if the interface does that, with U+FFFD for bytes that are not UTF-8.
    pub body: Option<String>,
    /// The kind of the error, if there is one.
    pub error: Option<ErrorName>,
    /// The text of the error, with its causes.
    pub text: Option<String>,
}

/// The kinds of errors that all interfaces distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorName {
    /// The URL or another argument cannot be used; nothing was sent.
    Input,
    /// The credential may not go there; nothing was sent.
    Origin,
    /// There is no token; nothing was sent.
    NoToken,
    /// A timeout ended.
    Timeout,
    /// The connection failed or broke, or the response is not HTTP.
    Transport,
    /// There were too many redirects.
    Redirect,
    /// An error of no kind above.
    Other,
}
