//! The members of a response of an authorization server, whatever form it has.

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::token::json::{Json, Object};

/// What the body of a response holds.
pub(crate) enum Body {
    /// The members of a JSON object or of a form.
    Members(Object),
    /// JSON or a form that ends too early, or nothing at all.
    Cut,
    /// Anything else, such as HTML or a JSON list.
    Unreadable,
}

/// Reads a body by what it is, because servers name the wrong content type.
pub(crate) fn read_body(body: &[u8]) -> Body {
    let text = text(body);
    let text = text.trim();
    if text.is_empty() {
        return Body::Cut;
    }
    if !text.starts_with('{') {
        return read_form(text).map_or(Body::Unreadable, Body::Members);
    }
    // Only the first value: what follows it, such as a comment of a gateway, takes nothing away from it.
    match serde_json::Deserializer::from_str(text).into_iter().next() {
        Some(Ok(Json::Object(object))) => Body::Members(object),
        Some(Err(fault)) if fault.is_eof() => Body::Cut,
        _ => Body::Unreadable,
    }
}

/// Whether a body is a whole JSON object with a token or an error. Then nothing that is still to come changes what it says.
pub(crate) fn is_whole_response(body: &[u8]) -> bool {
    match read_body(body) {
        Body::Members(object) if !may_be_form(body) => {
            ["access_token", "id_token", "refresh_token", "error"]
                .iter()
                .any(|name| object.has(name))
        }
        _ => false,
    }
}

/// Whether a body may be a form, or the beginning of one. Nothing in a form says where it ends.
pub(crate) fn may_be_form(body: &[u8]) -> bool {
    // These begin JSON and pages.
    !text(body).trim_start().starts_with(['{', '[', '"', '<'])
}

/// The text of a body: UTF-8, with or without a byte order mark, or else Latin-1.
pub(crate) fn text(body: &[u8]) -> Zeroizing<String> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    Zeroizing::new(match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        // Each byte is the character with its number. RFC 6749 §5.2 allows codes in ASCII only, which stay what they are.
        Err(_) => body.iter().copied().map(char::from).collect(),
    })
}

/// Reads a form, which GitHub and older servers send.
fn read_form(text: &str) -> Option<Object> {
    let fields = form_urlencoded::parse(text.as_bytes());
    let fields = fields.map(|(name, value)| (name.into_owned(), value.into_owned()));
    let object = Object::of_texts(fields);
    // Any text can be read as a form, so one of these members has to be there.
    let is_form = ["access_token", "device_code", "error"]
        .iter()
        .any(|name| object.has(name));
    is_form.then_some(object)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> String {
        match read_body(body) {
            Body::Members(object) => object.text("error").unwrap_or("no text").to_owned(),
            Body::Cut => "cut".to_owned(),
            Body::Unreadable => "unreadable".to_owned(),
        }
    }

    #[test]
    fn a_body_is_read_by_what_it_is() {
        for (body, expected) in [
            (&b"{\"error\":\"a\"}"[..], "a"),
            (b"\xef\xbb\xbf{\"error\":\"a\"}", "a"),
            (b" \r\n{\"error\":\"a\"}\n<!-- gateway -->", "a"),
            (b"{\"error\":\"a\",\"error_description\":\"caf\xe9\"}", "a"),
            (b"{\"error\":\"a\",\"error\":\"b\"}", "a"),
            (b"{\"error\":{\"code\":1}}", "no text"),
            (b"error=a&error_description=b+c", "a"),
            (b"{\"error\":\"a\"", "cut"),
            (b"{\"err", "cut"),
            (b"", "cut"),
            (b" ", "cut"),
            (b"[\"a\"]", "unreadable"),
            (b"[{\"error\":\"a\"}]", "unreadable"),
            (b"{error: a}", "unreadable"),
            (b"<html>error=a</html>", "unreadable"),
            (b"\"a\"", "unreadable"),
            (b"null", "unreadable"),
        ] {
            assert_eq!(error(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn only_json_shows_that_it_is_whole() {
        for (body, expected) in [
            (&b"{\"access_token\":\"a\"}"[..], true),
            (b"\xef\xbb\xbf {\"refresh_token\":\"a\"}\n", true),
            (b"{\"id_token\":\"a\",\"error\":null}<!--", true),
            (b"{\"access_token\":\"a\"", false),
            (b"{\"access_token\":null}", false),
            (b"{\"error\":\"a\"}", true),
            (b"{\"error\":\"a\"", false),
            (b"{\"message\":\"a\"}", false),
            (b"access_token=a", false),
            (b"<html>", false),
            (b"", false),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(is_whole_response(body), expected, "{text}");
        }
    }
}
