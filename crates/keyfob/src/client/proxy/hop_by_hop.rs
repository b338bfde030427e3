//! The fields that are for one connection and not for the message (RFC 9110 §7.6.1).

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, SET_COOKIE, TE,
    TRANSFER_ENCODING, UPGRADE,
};

/// Removes them, those that `Connection` names too, and all that begin with `Proxy-`.
pub(super) fn remove(headers: &mut HeaderMap) {
    let named: Vec<_> = names_in_connection(headers)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .collect();
    let for_proxies = headers
        .keys()
        .filter(|name| name.as_str().starts_with("proxy-"));
    let also: Vec<_> = for_proxies.cloned().chain(named).collect();
    for name in also {
        headers.remove(name);
    }
    for name in [CONNECTION, KEEP_ALIVE, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Removes what has no meaning behind a body, or would be a credential there (RFC 9110 §6.5.1).
pub(super) fn remove_from_trailers(trailers: &mut HeaderMap) {
    remove(trailers);
    for name in [AUTHORIZATION, COOKIE, SET_COOKIE, HOST, CONTENT_LENGTH] {
        trailers.remove(name);
    }
}

/// The names of fields in `Connection`. A value that is no text names none.
pub(super) fn names_in_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
