//! The heads of request and response, as people see them.

use std::fmt::Write;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Version};
use keyfob::cache::Lease;
use keyfob::error::printable;
use reqwest::Response;
use url::Url;

use crate::commands::request::mask::Mask;

/// The head of a request.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

impl Head {
    /// The head with the credential of the first attempt, as `>` lines without secrets.
    pub(super) fn display(&self, lease: &Lease, length: Option<u64>, mask: &Mask) -> String {
        let mut headers = self.headers.clone();
        lease.apply(&mut headers);
        let target = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let mut text = format!("> {} {}\n", self.method, mask.target(&target));
        line(&mut text, '>', HOST.as_str(), &host(&self.url));
        if let Some(length) = length.filter(|_| !headers.contains_key(CONTENT_LENGTH)) {
            line(&mut text, '>', CONTENT_LENGTH.as_str(), &length.to_string());
        }
        lines(&mut text, '>', &headers, mask);
        text.push_str(">\n");
        text
    }
}

/// The head of the response, as `<` lines without secrets.
pub(super) fn display_response(response: &Response, mask: &Mask) -> String {
    let mut text = format!("< {}\n", status_line(response));
    lines(&mut text, '<', response.headers(), mask);
    text.push_str("<\n");
    text
}

/// The head of the response as the server sent it, including secrets. A terminal gets nothing that it would obey.
pub(super) fn response(response: &Response, to_terminal: bool) -> Vec<u8> {
    let mut bytes = status_line(response).into_bytes();
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        match to_terminal {
            true => bytes
                .extend_from_slice(printable(String::from_utf8_lossy(value.as_bytes())).as_bytes()),
            false => bytes.extend_from_slice(value.as_bytes()),
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn status_line(response: &Response) -> String {
    let version = match response.version() {
        // The form that curl prints.
        Version::HTTP_2 => "HTTP/2".to_owned(),
        Version::HTTP_3 => "HTTP/3".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{version} {}", response.status())
}

fn lines(text: &mut String, mark: char, headers: &HeaderMap, mask: &Mask) {
    for (name, value) in headers {
        line(text, mark, name.as_str(), &mask.value(name, value));
    }
}

fn line(text: &mut String, mark: char, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{mark} {name}: {}", printable(value));
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_header_that_it_would_obey_and_a_file_gets_all() {
        let value = http::HeaderValue::from_bytes(b"a\xc2\x9b2Jb").unwrap();
        let head = http::Response::builder().header("x-a", value).body("");
        let head = Response::from(head.unwrap());
        assert!(response(&head, true).ends_with(b"x-a: ab\r\n\r\n"));
        assert!(response(&head, false).ends_with(b"x-a: a\xc2\x9b2Jb\r\n\r\n"));
    }
}
