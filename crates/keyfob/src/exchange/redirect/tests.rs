//! Which requests follow on which responses.

use http::HeaderValue;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn from(url: &str, location: &[u8]) -> Option<Url> {
    let url = Url::parse(url).unwrap();
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location).unwrap())]);
    follow(&Method::GET, &url, StatusCode::FOUND, &headers).map(|redirect| redirect.url)
}

fn goes_to(url: &str, location: &str, expected: &str) {
    let target = from(url, location.as_bytes()).unwrap();
    assert_eq!(target.as_str(), expected, "{url} to {location}");
}

fn becomes(method: &Method, status: u16) -> Option<(Method, RedirectBody)> {
    let url = Url::parse("https://a.test/").unwrap();
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/next"))]);
    let status = StatusCode::from_u16(status).unwrap();
    follow(method, &url, status, &headers).map(|redirect| (redirect.method, redirect.body))
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
                Method::POST => (Method::GET, RedirectBody::Dropped),
                _ => (method.clone(), RedirectBody::Kept),
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
            Some((expected, RedirectBody::Dropped)),
            "{method}"
        );
    }
}

#[test]
fn temporary_and_permanent_redirect_change_nothing() {
    for status in [307, 308] {
        for method in methods() {
            let expected = Some((method.clone(), RedirectBody::Kept));
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
fn r1_another_origin_gets_no_credential_whatever_its_field() {
    let kept = ["accept", "content-type", "user-agent"];
    let secret = [
        "authorization",
        "cookie",
        "dpop",
        "host",
        "proxy-authorization",
        "x-api-key",
    ];
    let mut headers = full(&[kept.as_slice(), &secret].concat());
    applied(
        "https://a.test/",
        "https://b.test/",
        StatusCode::FOUND,
        &mut headers,
    );
    assert_eq!(headers, full(&kept));
}

#[test]
fn r1_the_same_origin_gets_everything() {
    let all = ["authorization", "cookie", "host", "x-api-key"];
    let mut headers = full(&all);
    applied(
        "https://a.test/",
        "https://a.test:443/b",
        StatusCode::FOUND,
        &mut headers,
    );
    assert_eq!(headers, full(&all));
}

#[test]
fn the_host_field_is_dropped_only_with_its_authority() {
    let from = "https://a.test/";
    for (to, kept) in [
        ("http://a.test/", true),
        ("https://a.test:8443/", false),
        ("https://b.test/", false),
    ] {
        let mut headers = full(&["host"]);
        applied(from, to, StatusCode::FOUND, &mut headers);
        assert_eq!(headers.contains_key(HOST), kept, "{to}");
    }
}

fn applied(from: &str, to: &'static str, status: StatusCode, headers: &mut HeaderMap) {
    let location = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(to))]);
    let redirect = follow(&Method::GET, &Url::parse(from).unwrap(), status, &location);
    let credential = (
        HeaderName::from_static("x-api-key"),
        HeaderValue::from_static("k"),
    );
    redirect.unwrap().apply(headers, &[credential]);
}

#[test]
fn a_dropped_body_removes_its_fields() {
    let kept = [
        "accept",
        "accept-encoding",
        "authorization",
        "host",
        "user-agent",
    ];
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
    applied("https://a.test/", "/b", StatusCode::SEE_OTHER, &mut headers);
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
    fn any_redirect_is_safe_to_follow(
        location in location(),
        base in select(vec!["https://a.test/b?c#d", "http://u:p@a.test/", "https://[::1]:1/"]),
        method in select(methods()),
        status in 300..310_u16,
    ) {
        let base = Url::parse(base).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let headers = HeaderValue::from_bytes(&location).map(|value| (LOCATION, value));
        let headers = headers.into_iter().collect();
        let Some(next) = follow(&method, &base, status, &headers) else {
            return Ok(());
        };
        prop_assert!(matches!(next.url.scheme(), "http" | "https"));
        prop_assert!(next.url.has_host());
        prop_assert_eq!((next.url.username(), next.url.password()), ("", None));
        prop_assert!(next.url.fragment().is_some() || base.fragment().is_none());
        prop_assert!(next.method == method || next.body == RedirectBody::Dropped);
    }
}
