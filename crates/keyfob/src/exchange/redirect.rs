//! Redirects: what a request becomes when the server points elsewhere.
//!
//! These are the rules of [RFC 9110 §15.4] as functions of values, for sessions that follow redirects themselves
//! because they must see each hop. Whether to follow, how often, and to whom a credential may go is decided by
//! the caller: a hop may lead to another origin, and from `https` to `http`.
//!
//! [RFC 9110 §15.4]: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4

use std::str;

use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

/// The request that follows on a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: HopBody,
}

/// What becomes of the body of the redirected request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HopBody {
    /// The hop carries the same body.
    Kept,
    /// The hop has no body, so call [`strip_body_headers`].
    Dropped,
}

/// Returns the request to send after this response, or `None` if it is not to be followed.
///
/// Only 301, 302, 303, 307 and 308 with one readable `Location` are followed, and only to `http` and `https`. The
/// hop's url has no userinfo: sent on, it would become Basic credentials that another server chose. It inherits the
/// fragment of `url` if the `Location` has none ([RFC 9110 §10.2.2]).
///
/// [RFC 9110 §10.2.2]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.2
pub(crate) fn follow(
    method: &Method,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Hop> {
    let (method, body) = rewrite(method, status)?;
    let url = target(url, headers)?;
    Some(Hop { method, url, body })
}

/// Removes what the caller's own server may see and another origin may not.
///
/// A credential in a field of another name is for the caller to remove.
pub(crate) fn strip_for_other_origin(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, DPOP] {
        headers.remove(name);
    }
}

/// Removes the fields that speak of a body, for a request that lost its own.
pub(crate) fn strip_body_headers(headers: &mut HeaderMap) {
    for name in BODY_FIELDS {
        headers.remove(name);
    }
}

fn rewrite(method: &Method, status: StatusCode) -> Option<(Method, HopBody)> {
    match status {
        // "a user agent MAY change the request method from POST to GET for the subsequent request"
        // https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4.2
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => {
            Some((Method::GET, HopBody::Dropped))
        }
        // "a retrieval request targeting that URI (a GET or HEAD request if using HTTP)"
        // https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4.4
        StatusCode::SEE_OTHER if method == Method::HEAD => Some((Method::HEAD, HopBody::Dropped)),
        StatusCode::SEE_OTHER => Some((Method::GET, HopBody::Dropped)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), HopBody::Kept)),
        _ => None,
    }
}

fn target(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let mut locations = headers.get_all(LOCATION).iter();
    let location = locations.next()?;
    // Which of two different places the server meant is not known.
    if locations.any(|other| other != location) {
        return None;
    }
    let location = str::from_utf8(location.as_bytes()).ok()?;
    let mut target = url.join(location).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    if target.fragment().is_none() {
        target.set_fragment(url.fragment());
    }
    Some(target)
}

/// A proof of possession, which is for the URL that it was made for (RFC 9449 §4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The fields of a request that mean nothing without its body.
///
/// The list of [RFC 9110 §15.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4), the digests of
/// [RFC 9530](https://www.rfc-editor.org/rfc/rfc9530.html), and what frames or announces a body.
const BODY_FIELDS: [&str; 15] = [
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "expect",
    "last-modified",
    "repr-digest",
    "trailer",
    "transfer-encoding",
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn from(url: &str, location: &[u8]) -> Option<Url> {
        let url = Url::parse(url).unwrap();
        let headers =
            HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location).unwrap())]);
        follow(&Method::GET, &url, StatusCode::FOUND, &headers).map(|hop| hop.url)
    }

    fn goes_to(url: &str, location: &str, expected: &str) {
        let target = from(url, location.as_bytes()).unwrap();
        assert_eq!(target.as_str(), expected, "{url} to {location}");
    }

    fn becomes(method: &Method, status: u16) -> Option<(Method, HopBody)> {
        let url = Url::parse("https://a.test/").unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/next"))]);
        let status = StatusCode::from_u16(status).unwrap();
        follow(method, &url, status, &headers).map(|hop| (hop.method, hop.body))
    }

    fn methods() -> Vec<Method> {
        let own = Method::from_bytes(b"post").unwrap();
        let known = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
        ];
        let others = [Method::DELETE, Method::OPTIONS, Method::TRACE, own];
        known.into_iter().chain(others).collect()
    }

    #[test]
    fn moved_and_found_turn_only_post_into_get() {
        for status in [301, 302] {
            for method in methods() {
                let expected = match method {
                    Method::POST => (Method::GET, HopBody::Dropped),
                    _ => (method.clone(), HopBody::Kept),
                };
                assert_eq!(
                    becomes(&method, status),
                    Some(expected),
                    "{method} {status}"
                );
            }
        }
    }

    #[test]
    fn see_other_turns_all_but_head_into_get() {
        for method in methods() {
            let expected = match method {
                Method::HEAD => Method::HEAD,
                _ => Method::GET,
            };
            assert_eq!(
                becomes(&method, 303),
                Some((expected, HopBody::Dropped)),
                "{method}"
            );
        }
    }

    #[test]
    fn temporary_and_permanent_redirect_change_nothing() {
        for status in [307, 308] {
            for method in methods() {
                let expected = Some((method.clone(), HopBody::Kept));
                assert_eq!(becomes(&method, status), expected, "{method} {status}");
            }
        }
    }

    #[test]
    fn no_other_status_is_followed() {
        let followed = [301, 302, 303, 307, 308];
        for status in (100..1000).filter(|status| !followed.contains(status)) {
            assert_eq!(becomes(&Method::GET, status), None, "{status}");
        }
    }

    #[test]
    fn a_location_is_resolved_against_the_url() {
        let url = "https://a.test:8443/b/c?d";
        goes_to(url, "e?f", "https://a.test:8443/b/e?f");
        goes_to(url, "/e", "https://a.test:8443/e");
        goes_to(url, "../../e", "https://a.test:8443/e");
        goes_to(url, "?e", "https://a.test:8443/b/c?e");
        goes_to(url, "", "https://a.test:8443/b/c?d");
        goes_to(url, "//b.test/e", "https://b.test/e");
        goes_to(url, "http://b.test", "http://b.test/");
        goes_to(url, "/caf\u{e9}", "https://a.test:8443/caf%C3%A9");
    }

    #[test]
    fn a_fragment_is_inherited_unless_there_is_one() {
        let url = "https://a.test/b#c";
        goes_to(url, "/d", "https://a.test/d#c");
        goes_to(url, "https://b.test/", "https://b.test/#c");
        goes_to(url, "/d#e", "https://a.test/d#e");
        goes_to(url, "/d#", "https://a.test/d#");
    }

    #[test]
    fn userinfo_is_dropped() {
        goes_to(
            "https://a.test/",
            "https://u:p@b.test/c",
            "https://b.test/c",
        );
        goes_to("https://a.test/", "//u@b.test/c", "https://b.test/c");
        goes_to("https://a.test/", "https://:p@a.test/c", "https://a.test/c");
        goes_to("https://u:p@a.test/", "/c", "https://a.test/c");
    }

    #[test]
    fn only_http_and_https_are_followed() {
        for location in [
            "ftp://b.test/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:,a",
            "ws://b.test/",
            "mailto:a@b.test",
            "unix:/run/socket",
        ] {
            assert_eq!(
                from("https://a.test/", location.as_bytes()),
                None,
                "{location}"
            );
        }
    }

    #[test]
    fn an_unreadable_location_is_not_followed() {
        for location in [
            "http://",
            "https://[::1",
            "https://a.test:99999/",
            "https://a b.test/",
        ] {
            assert_eq!(
                from("https://a.test/", location.as_bytes()),
                None,
                "{location}"
            );
        }
        assert_eq!(from("https://a.test/", b"/caf\xe9"), None);
    }

    #[test]
    fn one_location_is_needed() {
        let url = Url::parse("https://a.test/").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(
            follow(&Method::GET, &url, StatusCode::FOUND, &headers),
            None
        );
        for _ in 0..2 {
            headers.append(LOCATION, HeaderValue::from_static("/b"));
            assert!(follow(&Method::GET, &url, StatusCode::FOUND, &headers).is_some());
        }
        headers.append(LOCATION, HeaderValue::from_static("/c"));
        assert_eq!(
            follow(&Method::GET, &url, StatusCode::FOUND, &headers),
            None
        );
    }

    fn full(names: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in names.iter().chain(names) {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        headers
    }

    #[test]
    fn another_origin_sees_no_credential() {
        let kept = ["accept", "content-type", "user-agent"];
        let secret = ["authorization", "cookie", "dpop", "proxy-authorization"];
        let mut headers = full(&[kept.as_slice(), &secret].concat());
        strip_for_other_origin(&mut headers);
        assert_eq!(headers, full(&kept));
    }

    #[test]
    fn a_dropped_body_takes_its_fields_along() {
        let kept = ["accept", "accept-encoding", "authorization", "user-agent"];
        let gone = [
            "content-digest",
            "content-disposition",
            "content-encoding",
            "content-language",
            "content-length",
            "content-location",
            "content-md5",
            "content-range",
            "content-type",
            "digest",
            "expect",
            "last-modified",
            "repr-digest",
            "trailer",
            "transfer-encoding",
        ];
        let mut headers = full(&[kept.as_slice(), &gone].concat());
        strip_body_headers(&mut headers);
        assert_eq!(headers, full(&kept));
    }

    fn location() -> impl Strategy<Value = Vec<u8>> {
        let telling = select(vec![
            "http", "https", "ftp", ":", "//", "/", "@", "#", "?", "..", "\\", "b.test", "\u{e9}",
        ]);
        let likely =
            proptest::collection::vec(telling, 0..12).prop_map(|parts| parts.concat().into_bytes());
        prop_oneof![likely, proptest::collection::vec(any::<u8>(), 0..40)]
    }

    proptest! {
        #[test]
        fn any_hop_is_safe_to_send(
            location in location(),
            base in select(vec!["https://a.test/b?c#d", "http://u:p@a.test/", "https://[::1]:1/"]),
            method in select(methods()),
            status in 300..310_u16,
        ) {
            let base = Url::parse(base).unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            let headers = HeaderValue::from_bytes(&location).map(|value| (LOCATION, value));
            let headers = headers.into_iter().collect();
            let Some(hop) = follow(&method, &base, status, &headers) else {
                return Ok(());
            };
            prop_assert!(matches!(hop.url.scheme(), "http" | "https"));
            prop_assert!(hop.url.has_host());
            prop_assert_eq!((hop.url.username(), hop.url.password()), ("", None));
            prop_assert!(hop.url.fragment().is_some() || base.fragment().is_none());
            prop_assert!(hop.method == method || hop.body == HopBody::Dropped);
        }
    }
}
