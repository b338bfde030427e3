//! What is kept of the head of a request, so that the request can be sent again.
//!
//! Header fields are kept as text. A clone of a `HeaderMap` allocates for the map and for each value, which cost 2 % of
//! a request (bench `layer_cpu`, goal 1.06).

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::exchange::outcome::Replay;

/// All of a head if the request can be sent again; otherwise what an error names.
pub(super) struct KeptHead {
    pub(super) method: Method,
    pub(super) uri: Uri,
    version: Version,
    fields: Fields,
    extensions: Extensions,
}

/// Header fields, which are rarely read again.
enum Fields {
    /// A line `name:value` for each field.
    Text(Vec<u8>),
    /// If a value is sensitive: the text of a secret is not copied.
    Shared(Box<HeaderMap>),
}

impl KeptHead {
    pub(super) fn of(head: &Parts, body: Replay) -> Self {
        let (fields, extensions) = match body {
            Replay::Possible => (Fields::of(&head.headers), head.extensions.clone()),
            Replay::Impossible => (Fields::Text(Vec::new()), Extensions::new()),
        };
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            fields,
            extensions,
        }
    }

    pub(super) fn with<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        *request.extensions_mut() = self.extensions.clone();
        *request.headers_mut() = self.fields.to_map();
        request
    }
}

impl Fields {
    fn of(fields: &HeaderMap) -> Self {
        let length =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 2;
        let mut lines = Vec::with_capacity(fields.iter().map(length).sum());
        for (name, value) in fields {
            if value.is_sensitive() {
                return Self::Shared(Box::new(fields.clone()));
            }
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        Self::Text(lines)
    }

    fn to_map(&self) -> HeaderMap {
        let lines = match self {
            Self::Shared(fields) => return HeaderMap::clone(fields),
            Self::Text(lines) => lines.split(|&byte| byte == b'\n'),
        };
        // A name and a value contain no line end, and a name contains no colon (RFC 9110 §5).
        lines.filter_map(field).collect()
    }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    Some((
        HeaderName::from_bytes(name).expect("it was a name before"),
        HeaderValue::from_bytes(value).expect("it was a value before"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_and_made_again(request: http::request::Builder) -> (Parts, Parts) {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let again = KeptHead::of(&head, Replay::Possible).with(());
        (head, again.into_parts().0)
    }

    #[test]
    fn r9_a_head_is_kept_as_it_was() {
        let request = Request::put("https://a.example/x?y")
            .version(Version::HTTP_2)
            .header("cookie", "a=1")
            .header("x-other", "")
            .header("cookie", "b:2: ü\t")
            .extension(42_u8);
        let (head, again) = kept_and_made_again(request);
        assert_eq!(
            (again.method, again.uri, again.version),
            (head.method, head.uri, head.version)
        );
        assert_eq!(again.headers, head.headers);
        assert!(
            again
                .headers
                .get_all("cookie")
                .iter()
                .eq(head.headers.get_all("cookie"))
        );
        assert_eq!(again.extensions.get::<u8>(), Some(&42));
    }

    #[test]
    fn s3_a_sensitive_field_stays_sensitive_among_others() {
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        let request = Request::get("/")
            .header("cookie", "a=1")
            .header("cookie", secret)
            .header("x-other", "b");
        let (head, again) = kept_and_made_again(request);
        assert_eq!(again.headers, head.headers);
        let sensitive: Vec<_> = again
            .headers
            .values()
            .map(HeaderValue::is_sensitive)
            .collect();
        assert_eq!(sensitive, [false, true, false]);
    }
}
