//! Where on the upstream a request goes: the path that the client sees, and the one that is sent.

use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use url::Url;

use crate::client::proxy::problem::Problem;
use crate::error::error::Error;

/// The base URL of a route, in parts that are cheap to put together (P2).
#[derive(Clone, Debug)]
pub(super) struct Base {
    url: Url,
    scheme: Scheme,
    authority: Authority,
    /// The path without the slash at its end: empty, or one that begins with a slash.
    prefix: Arc<str>,
}

impl Base {
    /// The URL must have an [`Origin`](crate::Origin).
    pub(super) fn new(mut url: Url) -> Result<Self, Error> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::input(
                "the base URL of a route has a user name or password; leave it out",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::input(
                "the base URL of a route has a query or a fragment; leave it out",
            ));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/"));
        let uri: Uri = url.as_str().parse().map_err(|cause| {
            Error::input("the base URL of a route cannot be used").caused_by(cause)
        })?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.expect("an origin has a scheme");
        let authority = parts.authority.expect("an origin has a host");
        Ok(Self {
            url,
            scheme,
            authority,
            prefix: prefix.into(),
        })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The path on the upstream for a path below the route.
    pub(super) fn path_of(
        &self,
        below: &str,
        query: Option<&str>,
    ) -> Result<PathAndQuery, Problem> {
        let mut path = String::with_capacity(
            self.prefix.len() + below.len() + 1 + query.map_or(0, |query| query.len() + 1),
        );
        path.push_str(&self.prefix);
        if !below.starts_with('/') {
            path.push('/');
        }
        path.push_str(below);
        if let Some(query) = query {
            path.push('?');
            path.push_str(query);
        }
        PathAndQuery::from_maybe_shared(path)
            .map_err(|_| Problem::bad_request("the path of the request cannot be used"))
    }

    /// The URI of the upstream with this path.
    pub(super) fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("all parts of the URI are there")
    }

    /// What follows the base path in a path of the upstream; `None` for a path that is not below it.
    pub(super) fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let below = path.strip_prefix(&*self.prefix)?;
        (below.is_empty() || below.starts_with('/')).then_some(below)
    }
}

/// Refuses a path that could lead out of the base path or past a list of allowed paths, on this server or another one.
///
/// Servers differ in what they decode, and how often. So each reading is looked at.
pub(super) fn check_path(path: &str) -> Result<(), Problem> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(Problem::bad_request(
            "the path of the request must begin with one slash",
        ));
    }
    // The usual path has none of these, and needs no copy.
    if !path.contains(['%', '\\', ';']) && !path.contains("/.") {
        return Ok(());
    }
    let mut reading = path.as_bytes().to_vec();
    for _ in 0..READINGS {
        check_reading(&reading)?;
        let decoded = decoded(&reading);
        if decoded == reading {
            return Ok(());
        }
        reading = decoded;
    }
    Err(Problem::bad_request(
        "the path of the request is encoded again and again",
    ))
}

fn check_reading(path: &[u8]) -> Result<(), Problem> {
    if path.iter().any(|byte| byte.is_ascii_control()) {
        return Err(Problem::bad_request(
            "the path of the request has a control character",
        ));
    }
    if path.starts_with(b"//") || path.starts_with(b"/\\") {
        return Err(Problem::bad_request(
            "the path of the request must begin with one slash",
        ));
    }
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    for segment in path.split(is_separator) {
        // Some servers leave out what follows a semicolon before they resolve the segment.
        let name = segment
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        if matches!(name.trim_ascii(), b"." | b"..") {
            return Err(Problem::bad_request(
                "the path of the request has a segment `.` or `..`; send the path that is meant",
            ));
        }
    }
    Ok(())
}

/// The path with each `%xx` in place of its byte.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let encoded = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match encoded {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                rest = &after[2..];
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| value.try_into().ok())
}

/// How often a path may be encoded.
const READINGS: usize = 4;
