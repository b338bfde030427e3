//! The heads of request and answer, for people.

use std::fmt::Write;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Version};
use keyfob::cache::Lease;
use reqwest::Response;
use url::Url;

use crate::commands::request::mask::Mask;

/// What a request begins with.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

impl Head {
    /// The head with the credential that it is first sent with, as `>` lines.
    pub(super) fn shown(&self, lease: &Lease, length: Option<u64>, mask: &Mask) -> String {
        let mut headers = self.headers.clone();
        lease.apply(&mut headers);
        let target = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let mut text = format!("> {} {}\n", self.method, mask.text(&target));
        line(&mut text, '>', HOST.as_str(), &host(&self.url));
        if let Some(length) = length.filter(|_| !headers.contains_key(CONTENT_LENGTH)) {
            line(&mut text, '>', CONTENT_LENGTH.as_str(), &length.to_string());
        }
        lines(&mut text, '>', &headers, mask);
        text.push_str(">\n");
        text
    }
}

/// The answer's head as `<` lines.
pub(super) fn shown_response(response: &Response, mask: &Mask) -> String {
    let mut text = format!("< {}\n", status_line(response));
    lines(&mut text, '<', response.headers(), mask);
    text.push_str("<\n");
    text
}

/// The answer's head as it was sent, secrets and all.
pub(super) fn of_response(response: &Response) -> Vec<u8> {
    let mut bytes = status_line(response).into_bytes();
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn status_line(response: &Response) -> String {
    let version = match response.version() {
        // As curl shows them.
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

/// One line, whatever the value holds: a terminal obeys control characters.
fn line(text: &mut String, mark: char, name: &str, value: &str) {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{mark} {name}: {value}");
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
