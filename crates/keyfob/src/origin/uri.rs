//! The origin of a tower request, whose URI may have no authority (RFC 9112 §3.2.1).

use http::Uri;

use crate::error::error::Error;
use crate::origin::origin::{Origin, Origins};

impl Origin {
    /// Returns the origin of a request's URI, or `None` if the URI has no authority and the connection decides.
    pub(crate) fn from_uri(uri: &Uri) -> Result<Option<Self>, Error> {
        let Some(host) = uri.host() else {
            return Ok(None);
        };
        let port = uri.port_u16();
        let after_host = uri.authority().and_then(|authority| {
            let host_and_port = authority.as_str().rsplit('@').next();
            host_and_port?.strip_prefix(host)?.strip_prefix(':')
        });
        // `http` leaves out a port that is no number of 16 bits, and a client may read it in another way.
        if port.is_none() && after_host.is_some_and(|port| !port.is_empty()) {
            return Err(Error::input(
                "the URL has a port that is not a number from 0 to 65535",
            ));
        }
        let scheme = uri.scheme_str().unwrap_or_default();
        Self::from_parts(scheme, host, port).map(Some)
    }
}

impl Origins {
    /// The origin of a request without an authority: the bound origin, if there is exactly one.
    fn only(&self) -> Option<&Origin> {
        match self.bound.as_slice() {
            [origin] => Some(origin),
            _ => None,
        }
    }

    /// Checks that the credential may go to the origin of a URI. Without an authority, that is the only bound origin.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and [`ErrorKind::Input`](crate::ErrorKind::Input) if the URI has no authority and
    /// there is not exactly one bound origin.
    pub fn check_uri(&self, uri: &Uri) -> Result<(), Error> {
        // The bound origins themselves were checked when the layer was built.
        if self.are_plainly_of(uri) {
            return Ok(());
        }
        match Origin::from_uri(uri)?.as_ref().or(self.only()) {
            Some(origin) => self.check(origin),
            None => Err(Error::input(
                "the request's URI has no host, and the layer is not bound to exactly one origin; \
                 give the URI in full, or bind the layer to the service's origin alone",
            )),
        }
    }

    /// Whether a comparison of text alone shows that a URI has a bound origin.
    ///
    /// `false` does not mean that the URI has another origin: it may not be in normal form.
    fn are_plainly_of(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return false;
        };
        let authority_of = |origin: &'_ String| {
            let rest = origin.strip_prefix(scheme)?.strip_prefix("://")?;
            Some(rest == authority.as_str())
        };
        self.written
            .iter()
            .filter_map(authority_of)
            .any(|same| same)
    }

    /// Returns the absolute URL of a checked URI, without its query.
    pub(crate) fn url_of(&self, uri: &Uri) -> String {
        let origin = self.origin_of(uri).map(|origin| origin.to_string());
        origin.unwrap_or_default() + uri.path()
    }

    /// Returns the origin of a checked URI.
    pub(crate) fn origin_of(&self, uri: &Uri) -> Option<Origin> {
        let named = Origin::from_uri(uri).ok()?;
        named.or_else(|| self.only().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_uri_and_a_url_of_the_same_text_have_the_same_origin() {
        for text in [
            "https://A.example/x?y",
            "https://a.example:443",
            "https://a.example:8443/",
            "http://127.0.0.1:80/",
            "http://[::1]:8080/",
            "https://user:pass@a.example/",
            "https://a.example./",
            "https://xn--bcher-kva.example/",
            "https://XN--BCHER-KVA.example/",
            "https://a-b.c1.example/",
            "https://1.example/",
            "https://localhost/",
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(
                Origin::from_uri(&uri).unwrap(),
                Some(text.parse().unwrap()),
                "{text}"
            );
        }
        assert_eq!(Origin::from_uri(&Uri::from_static("/x")).unwrap(), None);
        for text in [
            "ftp://a.example",
            "a.example:443",
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://010.0.0.1/",
            "https://a.example:99999/",
        ] {
            let uri: Uri = text.parse().unwrap();
            assert!(Origin::from_uri(&uri).is_err(), "{text}");
        }
    }

    #[test]
    fn r1_a_uri_matches_a_bound_origin_as_text_only_if_the_origins_are_equal() {
        let uris = [
            "https://a.example/x",
            "https://a.example:443",
            "https://user@a.example",
            "https://A.example",
            "https://a.example:8443",
            "http://a.example",
            "http://a.example:443",
            "https://b.a.example",
            "https://127.0.0.1",
            "https://[::1]",
            "/x",
        ]
        .map(Uri::from_static);
        let origins = uris.iter().flat_map(|uri| Origin::from_uri(uri).unwrap());
        for (origin, uri) in
            origins.flat_map(|origin| uris.iter().map(move |uri| (origin.clone(), uri)))
        {
            let equal = Origin::from_uri(uri).unwrap() == Some(origin.clone());
            assert!(
                equal || !bound_to(&origin).are_plainly_of(uri),
                "{origin} {uri}"
            );
        }
        let origins = bound_to(&Origin::from_uri(&uris[0]).unwrap().unwrap());
        assert!(origins.are_plainly_of(&uris[0]));
        assert!(uris[..4].iter().all(|uri| origins.check_uri(uri).is_ok()));
    }

    fn bound_to(origin: &Origin) -> Origins {
        let mut origins = Origins::default();
        origins.bind(origin.clone());
        origins
    }
}
