//! Hides secrets in the output of `--verbose`.

use http::header::{AUTHORIZATION, CONTENT_LOCATION, LOCATION, PROXY_AUTHORIZATION, REFERER};
use http::{HeaderName, HeaderValue};
use keyfob::Token;

/// Replaces what may be secret with `[hidden]`.
///
/// A deny-list would miss the next name for a key, so only headers that are known to hold no secret are shown. Query values are never
/// shown, because many services accept a token or a signature there.
#[derive(Default)]
pub(super) struct Mask {
    tokens: Vec<Token>,
}

impl Mask {
    /// Hides this token everywhere, because a server may send it back.
    pub(super) fn add(&mut self, token: &Token) {
        self.tokens.push(token.clone());
    }

    /// The value of a header, without secrets.
    pub(super) fn value(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let text = String::from_utf8_lossy(value.as_bytes());
        if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
            return match text.split_once(' ') {
                Some((scheme, _)) => format!("{scheme} {HIDDEN}"),
                None => HIDDEN.to_owned(),
            };
        }
        if value.is_sensitive() || !is_public(name) {
            return HIDDEN.to_owned();
        }
        let is_url = [LOCATION, CONTENT_LOCATION, REFERER].contains(name);
        let ends = if is_url { "" } else { URL_ENDS };
        self.text(&without_query_values(&text, ends))
    }

    /// The target of a request: its path, and the names in its query.
    pub(super) fn target(&self, target: &str) -> String {
        self.text(&without_query_values(target, ""))
    }

    /// Other text, without the tokens.
    pub(super) fn text(&self, text: &str) -> String {
        self.tokens.iter().fold(text.to_owned(), |text, token| {
            text.replace(token.expose(), HIDDEN)
        })
    }
}

/// True if the header of this name never holds a secret.
fn is_public(name: &HeaderName) -> bool {
    let name = name.as_str();
    PUBLIC.contains(&name)
        || PUBLIC_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The text without the userinfo, the query values and the fragments of URLs. One of `ends` ends a URL.
fn without_query_values(text: &str, ends: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['?', '#']) {
        let (before, query) = rest.split_at(start);
        let end = query.find(|c| ends.contains(c)).unwrap_or(query.len());
        push_without_userinfo(&mut shown, before);
        push_names(&mut shown, &query[..end]);
        rest = &query[end..];
    }
    push_without_userinfo(&mut shown, rest);
    shown
}

/// Adds a query or a fragment with its mark, `?` or `#`, without values.
fn push_names(shown: &mut String, query: &str) {
    let (mark, pairs) = query.split_at(1);
    for (count, pair) in pairs.split('&').enumerate() {
        shown.push_str(if count == 0 { mark } else { "&" });
        // A fragment of the query's last value is part of that value here.
        match pair.split_once('=') {
            Some((name, _)) if mark == "?" && !name.contains('#') => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ if pair.is_empty() => {}
            _ => shown.push_str(HIDDEN),
        }
    }
}

/// Adds text whose URLs have no query. Userinfo is between `//` and the last `@` of the authority.
fn push_without_userinfo(shown: &mut String, text: &str) {
    let mut parts = text.split("//");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        shown.push_str("//");
        let authority = part.find(['/', '"', ' ']).unwrap_or(part.len());
        match part[..authority].rfind('@') {
            Some(at) => {
                shown.push_str(HIDDEN);
                shown.push_str(&part[at..]);
            }
            None => shown.push_str(part),
        }
    }
}

const HIDDEN: &str = "[hidden]";

/// Characters that end a URL inside other text.
const URL_ENDS: &str = " \"<>";

const PUBLIC_PREFIXES: [&str; 6] = [
    "accept",
    "access-control-",
    "if-",
    "ratelimit",
    "sec-fetch-",
    "x-ratelimit-",
];

const PUBLIC: [&str; 50] = [
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "origin",
    "pragma",
    "prefer",
    "preference-applied",
    "priority",
    "proxy-authenticate",
    "range",
    "referer",
    "referrer-policy",
    "retry-after",
    "server",
    "server-timing",
    "strict-transport-security",
    "sunset",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-content-type-options",
    "x-correlation-id",
    "x-frame-options",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: &'static str) -> String {
        let mut mask = Mask::default();
        mask.add(&Token::new("t0ken").unwrap());
        mask.value(
            &HeaderName::from_static(name),
            &HeaderValue::from_static(value),
        )
    }

    #[test]
    fn only_the_scheme_of_a_credential_is_shown() {
        assert_eq!(shown("authorization", "Bearer abc"), "Bearer [hidden]");
        assert_eq!(shown("authorization", "abc"), "[hidden]");
        assert_eq!(shown("proxy-authorization", "Basic eDp5"), "Basic [hidden]");
    }

    #[test]
    fn s1_only_headers_that_never_hold_a_secret_are_shown() {
        for name in [
            "cookie",
            "set-cookie",
            "x-api-key",
            "x-amz-security-token",
            "ocp-apim-subscription-key",
            "x-functions-key",
            "x-goog-iam-authorization-token",
            "x-vault-token",
            "dpop",
            "x-something-new",
        ] {
            assert_eq!(shown(name, "abc"), "[hidden]", "{name}");
        }
        assert_eq!(shown("accept", "text/html"), "text/html");
        assert_eq!(shown("x-ratelimit-remaining", "7"), "7");
    }

    #[test]
    fn s1_the_values_of_a_query_are_not_shown() {
        for (url, visible) in [
            (
                "/x?access_token=abc&n=2",
                "/x?access_token=[hidden]&n=[hidden]",
            ),
            (
                "https://a.example/x?sig=a b'c",
                "https://a.example/x?sig=[hidden]",
            ),
            (
                "https://u:p@a.example/x?a=1#access_token=abc",
                "https://[hidden]@a.example/x?a=[hidden]",
            ),
            ("/x#access_token=abc", "/x#[hidden]"),
            ("/x?abc", "/x?[hidden]"),
            ("/x?a=1?b=2", "/x?a=[hidden]"),
            ("/x#a?b=abc", "/x#[hidden]"),
            ("/x?a#b=abc", "/x?[hidden]"),
            ("/x", "/x"),
        ] {
            assert_eq!(shown("location", url), visible);
        }
        assert_eq!(
            shown(
                "link",
                "</x?page=2&key=abc>; rel=next, <//u@a/y?k=d,e>; rel=last"
            ),
            "</x?page=[hidden]&key=[hidden]>; rel=next, <//[hidden]@a/y?k=[hidden]>; rel=last"
        );
        assert_eq!(
            Mask::default().target("/x?api_key=abc"),
            "/x?api_key=[hidden]"
        );
    }

    #[test]
    fn a_token_that_the_server_sends_back_is_not_shown() {
        assert_eq!(shown("server", "you sent t0ken!"), "you sent [hidden]!");
    }
}
