//! Calls of gRPC, which need HTTP/2 and have a status of their own.

use std::fmt::Write;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::client::proxy::body::ProxyBody;

/// Whether this is the head of a gRPC call. A call of gRPC-Web is none: it needs no HTTP/2.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |kind| kind.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Says in the header fields of a response what its problem is: a client of gRPC reads no body of another type.
pub(super) fn describe(response: &mut Response<ProxyBody>, detail: &str) {
    // The codes by which gRPC reads the statuses of HTTP, so that a client that reads those comes to the same.
    let code = match response.status() {
        StatusCode::BAD_REQUEST => 13,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 12,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            14
        }
        _ => 2,
    };
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, code.into());
    if let Ok(message) = HeaderValue::try_from(encoded(detail)) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

/// A message as gRPC encodes it: percent-encoded, except for visible ASCII.
fn encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes all"),
        }
    }
    encoded
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
