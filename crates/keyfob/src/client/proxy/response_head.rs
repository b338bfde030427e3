//! What of an upstream's response head goes to the client.

use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::client::proxy::hop_by_hop;

/// Removes the fields for the connection to the upstream, and its cookies (P4).
///
/// A cookie of the upstream is a credential of the identity that all clients of the route share. `Proxy-Authenticate` asks the
/// proxy, not its client.
pub(super) fn strip(headers: &mut HeaderMap) {
    hop_by_hop::remove(headers);
    headers.remove(SET_COOKIE);
}
