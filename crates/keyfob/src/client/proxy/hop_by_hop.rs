//! The fields that are for one connection and not for the message (RFC 9110 §7.6.1).

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, SET_COOKIE, TE,
    TRANSFER_ENCODING, UPGRADE,
};

/// Removes them, those that `Connection` names too, all that begin with `Proxy-`, and these.
pub(super) fn remove(headers: &mut HeaderMap, also: &[HeaderName]) {
    let named: Vec<_> = names_in_connection(headers).collect();
    let goes = |name: &HeaderName| {
        FIELDS.contains(name)
            || also.contains(name)
            || name.as_str().starts_with("proxy-")
            || named.iter().any(|other| name == other)
    };
    // A head has few fields. To look each name of the lists up in it takes longer than this.
    let gone: Vec<_> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Removes what has no meaning behind a body, or would be a credential there (RFC 9110 §6.5.1).
pub(super) fn remove_from_trailers(trailers: &mut HeaderMap) {
    let also = [AUTHORIZATION, COOKIE, SET_COOKIE, HOST, CONTENT_LENGTH];
    remove(trailers, &also);
}

/// The names of fields in `Connection`. A value that is no text names none.
pub(super) fn names_in_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

static FIELDS: [HeaderName; 5] = [CONNECTION, KEEP_ALIVE, TE, TRANSFER_ENCODING, UPGRADE];
