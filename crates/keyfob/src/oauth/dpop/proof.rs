//! The proof itself: a JSON Web Token for one request (RFC 9449 §4.2).

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderValue, Method};
use serde::Serialize;

use crate::error::error::Error;
use crate::oauth::signing_key::SigningKey;
use crate::oauth::signing_key::jws::{compact, encode, random_id};
use crate::origin::origin::Origin;

/// The claims of a proof, named as in RFC 9449 §4.2.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    /// Unique for each proof.
    jti: String,
    /// The method of the request.
    htm: &'a str,
    /// The URI of the request.
    htu: &'a str,
    /// The time of creation, in seconds since the epoch.
    iat: u64,
    /// The hash of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl<'a> Claims<'a> {
    /// The claims for a request that is sent now.
    pub(super) fn new(
        method: &'a Method,
        target: &'a Target,
        now: SystemTime,
        nonce: Option<&'a str>,
    ) -> Result<Self, Error> {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            jti: random_id()?,
            htm: method.as_str(),
            htu: &target.uri,
            // Before 1970 the clock is wrong. The server refuses the proof and says so.
            iat: since_epoch.unwrap_or_default().as_secs(),
            ath: None,
            nonce,
        })
    }

    /// Binds the proof to the access token that the request carries.
    pub(super) fn bound_to(mut self, token: &str) -> Self {
        self.ath = Some(encode(digest(&SHA256, token.as_bytes()).as_ref()));
        self
    }

    /// The signed proof in compact form (RFC 7515 §7.1), as a header value that is marked sensitive.
    pub(super) fn sign(&self, jws_header: &str, key: &SigningKey) -> Result<HeaderValue, Error> {
        let claims = serde_json::to_vec(self).expect("strings and a number are always valid JSON");
        let proof = compact(jws_header, &claims, |text| key.signature(text))
            .map_err(|_| Error::unavailable("the DPoP key cannot sign a proof"))?;
        let mut value = HeaderValue::try_from(&*proof).expect("base64url is visible ASCII");
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The JOSE header of all proofs that a key signs, in base64url.
pub(super) fn jws_header(key: &SigningKey) -> String {
    let (algorithm, jwk) = (key.signs_as().name(), key.to_bare_jwk());
    let jwk = serde_json::to_string(&jwk).expect("a public JWK contains only strings");
    // Written as text: the name of an algorithm has no character that JSON would escape.
    encode(format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{jwk}}}"#).as_bytes())
}

/// The URL of a request, as its proof names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) origin: Origin,
    /// "The HTTP target URI [...] of the request to which the JWT is attached, without query and fragment parts."
    uri: String,
}

impl Target {
    /// Reads the absolute URL of a request.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let url = &url[..end];
        // Through `Origin`, so that a default port and userinfo are left out, as the server sees the URL.
        let origin: Origin = url.parse()?;
        let (_, rest) = url
            .split_once("://")
            .ok_or_else(|| Error::input("the URL of a proof has no `//` before its host"))?;
        // The path stays as it is: the server compares it with the path that it received.
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        let uri = format!("{origin}{path}");
        Ok(Self { origin, uri })
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;
    use url::Url;

    use super::*;

    fn uri(url: &str) -> String {
        Target::parse(url).unwrap().uri
    }

    #[test]
    fn a_target_has_neither_query_nor_fragment_nor_userinfo() {
        for (url, expected) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example?b", "https://a.example/"),
            ("https://a.example/b?c=d#e", "https://a.example/b"),
            ("https://a.example/b#c?d", "https://a.example/b"),
            ("https://a.example/b/?", "https://a.example/b/"),
            ("https://user:word@a.example/b", "https://a.example/b"),
            ("https://a.example/b@c:d", "https://a.example/b@c:d"),
            ("https://A.EXAMPLE:443/B", "https://a.example/B"),
            ("http://a.example:80/b", "http://a.example/b"),
            ("https://a.example:8443/b", "https://a.example:8443/b"),
            ("http://[::1]:80/b", "http://[::1]/b"),
            (
                "https://a.example/b/../%7Ec//d",
                "https://a.example/b/../%7Ec//d",
            ),
        ] {
            assert_eq!(uri(url), expected, "{url}");
        }
    }

    #[test]
    fn a_url_without_a_host_is_refused() {
        for url in [
            "",
            "/a",
            "a.example/b",
            "ftp://a.example/",
            "https:",
            "https:a.example/b",
            "?",
            "#",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_time_before_the_epoch_does_not_panic() {
        let target = Target::parse("https://a.example").unwrap();
        let before = SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(1);
        let claims = Claims::new(&Method::GET, &target, before, None).unwrap();
        assert_eq!(claims.iat, 0);
    }

    fn url() -> impl Strategy<Value = String> {
        let scheme = select(vec!["https://", "http://", "HTTPS://"]);
        let userinfo = option::of("[a-z]{1,3}(:[a-z?#/]{0,0}[a-z]{0,3})?");
        let host = select(vec![
            "a.example",
            "A.B.Example",
            "127.0.0.1",
            "[::1]",
            "xn--bcher-kva.example",
        ]);
        let port = option::of(select(vec![80_u16, 443, 8443, 1]));
        let path = option::of("(/[a-zA-Z0-9._~%@:!$&'()*+,;=-]{0,6}){0,4}");
        let query = option::of("[a-z/?=&%@:]{0,8}");
        let fragment = option::of("[a-z/?=#]{0,8}");
        (scheme, userinfo, host, port, path, query, fragment).prop_map(
            |(scheme, userinfo, host, port, path, query, fragment)| {
                let mut url = scheme.to_owned();
                url += &userinfo.map(|userinfo| userinfo + "@").unwrap_or_default();
                url += host;
                url += &port.map(|port| format!(":{port}")).unwrap_or_default();
                url += &path.unwrap_or_default();
                url += &query.map(|query| format!("?{query}")).unwrap_or_default();
                url + &fragment
                    .map(|fragment| format!("#{fragment}"))
                    .unwrap_or_default()
            },
        )
    }

    proptest! {
        /// The proof names the URL that a client following the URL standard sends.
        #[test]
        fn the_target_of_a_normalized_url_is_that_url_without_query_fragment_and_userinfo(url in url()) {
            let mut normalized = Url::parse(&url).unwrap();
            let target = uri(normalized.as_str());
            normalized.set_query(None);
            normalized.set_fragment(None);
            normalized.set_username("").unwrap();
            normalized.set_password(None).unwrap();
            prop_assert_eq!(&target, normalized.as_str());
            prop_assert_eq!(&uri(&target), &target);
        }

        #[test]
        fn a_target_has_the_origin_of_its_url(url in url()) {
            let target = Target::parse(&url).unwrap();
            prop_assert_eq!(&target.origin, &url.parse::<Origin>().unwrap());
            let path = target.uri.strip_prefix(&target.origin.to_string()).unwrap();
            prop_assert!(path.starts_with('/') && !path.contains(['?', '#']));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Target::parse(&text);
        }
    }
}
