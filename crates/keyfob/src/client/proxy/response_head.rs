//! The head of a response in the client's view.

use http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use url::Url;

use crate::client::proxy::hop_by_hop;
use crate::client::proxy::target::{Base, check_path};

/// Removes the fields for the connection to the upstream, and its cookies (P4).
///
/// A cookie of the upstream is a credential of the identity that all clients of the route share. `Proxy-Authenticate` asks the
/// proxy, not its client.
pub(super) fn strip(headers: &mut HeaderMap) {
    hop_by_hop::remove(headers, &[SET_COOKIE]);
}

/// What is needed to translate the references of a response.
pub(super) struct View<'a> {
    pub(super) base: &'a Base,
    /// The path and query that were sent, from which a relative reference counts.
    pub(super) sent: &'a str,
    /// The path of the route in the client's view: `/NAME`, or nothing on a listener of its own.
    pub(super) mount: &'a str,
}

impl View<'_> {
    /// Rewrites the references that lead below the route, so that they lead through the proxy (P2).
    ///
    /// The new one has no host, so it is right whatever name the client used for the proxy. A URL of another origin is left
    /// as it is: the client follows it without the credential. `Refresh`, `Link` and bodies are not changed.
    pub(super) fn rewrite(&self, headers: &mut HeaderMap) {
        self.rewrite_field(headers, LOCATION);
        self.rewrite_field(headers, CONTENT_LOCATION);
    }

    fn rewrite_field(&self, headers: &mut HeaderMap, name: HeaderName) {
        let Some(value) = headers.get(&name) else {
            return;
        };
        let new = value.to_str().ok().and_then(|text| self.translated(text));
        if let Some(new) = new.and_then(|new| HeaderValue::try_from(new).ok()) {
            headers.insert(name, new);
        }
    }

    /// `None` if the reference means the same in the client's view.
    fn translated(&self, reference: &str) -> Option<String> {
        let base = self.base.url();
        let url = base.join(self.sent).ok()?.join(reference).ok()?;
        if url.origin() != base.origin() {
            // Without a scheme, it would be read with that of the proxy.
            let has_scheme = Url::parse(reference).is_ok();
            return (!has_scheme).then(|| url.into());
        }
        let below = self.base.below(url.path());
        // The proxy refuses some paths. One of them is more than that: a client reads `//NAME` as another host.
        let below = below.filter(|below| below.is_empty() || check_path(below).is_ok());
        let Some(below) = below else {
            // No path of the proxy leads there, so the client learns the whole URL.
            return Some(url.into());
        };
        let slash = if below.is_empty() { "/" } else { "" };
        let mut new = [self.mount, below, slash].concat();
        for (mark, part) in [("?", url.query()), ("#", url.fragment())] {
            if let Some(part) = part {
                new.push_str(mark);
                new.push_str(part);
            }
        }
        Some(new)
    }
}
