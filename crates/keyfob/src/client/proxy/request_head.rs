//! What of a client's request head is refused, and what goes upstream.

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body::Body;

use crate::client::proxy::arrival::CLIENT_SECRET;
use crate::client::proxy::hop_by_hop::{self, names_in_connection};
use crate::client::proxy::problem::Problem;
use crate::exchange::proof::DPOP;

/// What a client asks of the connection, and so of the proxy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// `Upgrade`, for another protocol on the same connection.
    pub(super) upgrade: bool,
    /// `Expect: 100-continue`.
    pub(super) continues: bool,
    /// `TE: trailers`.
    trailers: bool,
}

/// Refuses a head that servers may read in different ways, so that what the proxy judges is what the upstream gets.
///
/// Some of this `hyper` refuses as well, and [`StrictStream`](crate::proxy::StrictStream) refuses what cannot be seen here.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    let is_http2 = head.version == Version::HTTP_2;
    if !matches!(
        head.version,
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2
    ) {
        return Err(Problem::bad_request("the version of HTTP is not supported"));
    }
    if head.method == Method::TRACE || head.method == Method::CONNECT {
        // A response to TRACE would show the token to the client (RFC 9110 §9.3.8).
        let problem = "the method cannot be used through the proxy";
        return Err(Problem::input(StatusCode::NOT_IMPLEMENTED, problem));
    }
    check_host(head, is_http2)?;
    check_framing(&head.headers, is_http2)?;
    match head.headers.get(EXPECT) {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            let problem = "the request expects something else than `100-continue`";
            Err(Problem::input(StatusCode::EXPECTATION_FAILED, problem))
        }
        _ => Ok(()),
    }
}

fn check_host(head: &Parts, is_http2: bool) -> Result<(), Problem> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), head.uri.authority()) {
        (Some(_), None, None) => Ok(()),
        (Some(host), None, Some(authority)) if host == authority.as_str() => Ok(()),
        (None, _, Some(_)) if is_http2 => Ok(()),
        _ => Err(Problem::bad_request(
            "the request must name its host once, in `Host` or in `:authority`",
        )),
    }
}

fn check_framing(headers: &HeaderMap, is_http2: bool) -> Result<(), Problem> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (length, another) = (lengths.next(), lengths.next());
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (coding, another_coding) = (codings.next(), codings.next());
    let is_digits =
        |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let fits = another.is_none()
        && another_coding.is_none()
        && length.is_none_or(is_digits)
        && coding.is_none_or(|coding| is_chunked(coding) && length.is_none() && !is_http2);
    match fits {
        true => Ok(()),
        false => Err(Problem::bad_request(
            "the length of the request is not clear: send one `Content-Length`, or `Transfer-Encoding: chunked`",
        )),
    }
}

/// Removes what must not go upstream: the client's credentials, and the fields for this connection (P4).
///
/// All other fields are left as they are. `Forwarded` and `X-Forwarded-*` are among them: the proxy does not read them.
pub(super) fn strip(head: &mut Parts) -> Wishes {
    let headers = &mut head.headers;
    let wishes = Wishes::read(headers, head.version);
    hop_by_hop::remove(headers, &OWN_FIELDS);
    if !wishes.continues {
        headers.remove(EXPECT);
    }
    if wishes.trailers {
        headers.insert(TE, TRAILERS);
    }
    wishes
}

/// Says that there is a body, if its method usually has none and its length is unknown: `hyper` would leave it out.
///
/// A client says so with `Transfer-Encoding` in HTTP/1.1, and with the body alone in HTTP/2, where `hyper` removes the field.
pub(super) fn announce_body(head: &mut Parts, body: &impl Body) {
    let is_unusual = matches!(head.method, Method::GET | Method::HEAD);
    let is_there = !body.is_end_stream() && body.size_hint().exact().is_none();
    if is_unusual && is_there && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
}

impl Wishes {
    fn read(headers: &HeaderMap, version: Version) -> Self {
        let is_http1 = version == Version::HTTP_11;
        let te = headers.get_all(TE).iter();
        Self {
            // A switch to HTTP/2 is between the client and the proxy, and obsolete (RFC 9113 §3.1).
            upgrade: is_http1
                && headers.get(UPGRADE).is_some_and(|to| !is_h2c(to))
                && names_in_connection(headers).any(|name| name.eq_ignore_ascii_case("upgrade")),
            continues: is_http1 && headers.contains_key(EXPECT),
            trailers: te.filter_map(|value| value.to_str().ok()).any(|value| {
                let mut codings = value.split(',').map(str::trim);
                codings.any(|coding| coding.eq_ignore_ascii_case("trailers"))
            }),
        }
    }
}

fn is_h2c(protocols: &HeaderValue) -> bool {
    protocols
        .as_bytes()
        .trim_ascii()
        .eq_ignore_ascii_case(b"h2c")
}

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// The fields that mean something to the proxy alone, or that it sets itself.
static OWN_FIELDS: [HeaderName; 6] = [
    AUTHORIZATION,
    COOKIE,
    CLIENT_SECRET,
    DPOP,
    HOST,
    HTTP2_SETTINGS,
];

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
