//! Hides secrets in the output of `--verbose`.

use http::header::{AUTHORIZATION, CONTENT_LOCATION, LINK, LOCATION, PROXY_AUTHORIZATION, REFERER};
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
        let shown = match name {
            name if [LOCATION, CONTENT_LOCATION, REFERER].contains(name) => url(&text),
            name if name == LINK => links(&text),
            _ => text_with_urls(&text),
        };
        self.text(&shown)
    }

    /// The target of a request: its path, and the names in its query.
    pub(super) fn target(&self, target: &str) -> String {
        self.text(&url(target))
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
    PUBLIC.contains(&name.as_str())
}

/// A URL, or a part of one, without its userinfo, the values in its path and its query, and its fragment.
fn url(text: &str) -> String {
    // Parsers of URLs ignore tabs (WHATWG URL §4.4).
    let text = text.replace('\t', "");
    let (before, query) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let mut shown = String::with_capacity(text.len());
    push_segments(&mut shown, before);
    if !query.is_empty() {
        push_names(&mut shown, query);
    }
    shown
}

/// The value of `Link`, whose URLs are between `<` and `>`.
fn links(text: &str) -> String {
    let mut parts = text.split('<');
    let mut shown = text_with_urls(parts.next().unwrap_or_default());
    for part in parts {
        let (target, parameters) = part.split_at(part.find('>').unwrap_or(part.len()));
        shown.push('<');
        shown.push_str(&url(target));
        shown.push_str(&text_with_urls(parameters));
    }
    shown
}

/// Text without the userinfo, the query values and the fragments of the URLs in it.
fn text_with_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['?', '#']) {
        let (before, query) = rest.split_at(start);
        let end = query.find(URL_ENDS).unwrap_or(query.len());
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
                // Some servers separate pairs by `;` too. What is before it may be a value.
                let name = match name.rsplit_once(';') {
                    Some((_, name)) => {
                        shown.push_str(HIDDEN);
                        shown.push(';');
                        name
                    }
                    None => name,
                };
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ if pair.is_empty() => {}
            _ => shown.push_str(HIDDEN),
        }
    }
}

/// Adds the part of a URL that is before its query.
///
/// Parsers take any number of `/` and `\` after a scheme for the `//` before the authority (WHATWG URL §4.4). Userinfo ends at the
/// last `@` of the authority, and may have any other character but these.
fn push_segments(shown: &mut String, text: &str) {
    const SLASHES: [char; 2] = ['/', '\\'];
    let mut slashes = 0;
    let mut after_scheme = false;
    for part in text.split_inclusive(SLASHES) {
        let (segment, slash) = part.split_at(part.find(SLASHES).unwrap_or(part.len()));
        if !segment.is_empty() {
            let is_authority = after_scheme || slashes > 1;
            push_segment(shown, segment, is_authority);
            after_scheme = segment.ends_with(':');
            slashes = 0;
        }
        slashes += slash.len();
        shown.push_str(slash);
    }
}

fn push_segment(shown: &mut String, segment: &str, is_authority: bool) {
    let userinfo = segment
        .rfind('@')
        .filter(|at| is_authority || segment[..*at].contains(':'));
    let shown_from = userinfo.unwrap_or_default();
    if userinfo.is_some() {
        shown.push_str(HIDDEN);
    }
    // Parameters such as `;jsessionid=…` (RFC 3986 §3.3).
    for (count, part) in segment[shown_from..].split(';').enumerate() {
        if count > 0 {
            shown.push(';');
        }
        match part.split_once('=') {
            Some((name, _)) if count > 0 => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ => shown.push_str(part),
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
const URL_ENDS: [char; 4] = [' ', '"', '<', '>'];

/// Whole names: a prefix would let through names that are not known, such as `accept-token`.
const PUBLIC: [&str; 109] = [
    "accept",
    "accept-ch",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "accept-language",
    "accept-patch",
    "accept-post",
    "accept-query",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
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
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-schedule-tag-match",
    "if-unmodified-since",
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
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "referer",
    "referrer-policy",
    "retry-after",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-storage-access",
    "sec-fetch-user",
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
    "x-ratelimit-limit",
    "x-ratelimit-limit-day",
    "x-ratelimit-limit-hour",
    "x-ratelimit-limit-minute",
    "x-ratelimit-limit-month",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-second",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-policy",
    "x-ratelimit-remaining",
    "x-ratelimit-remaining-day",
    "x-ratelimit-remaining-hour",
    "x-ratelimit-remaining-minute",
    "x-ratelimit-remaining-month",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-second",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-resource",
    "x-ratelimit-used",
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
            "accept-token",
            "access-control-x",
            "if-secret",
            "ratelimit-x",
            "sec-fetch-x",
            "x-ratelimit-x",
        ] {
            assert_eq!(shown(name, "abc"), "[hidden]", "{name}");
        }
        assert_eq!(shown("accept", "text/html"), "text/html");
        assert_eq!(shown("x-ratelimit-remaining", "7"), "7");
        assert_eq!(shown("if-none-match", "\"7\""), "\"7\"");
        assert!(PUBLIC.is_sorted());
    }

    #[test]
    fn s1_what_is_secret_before_the_query_of_a_url_is_not_shown() {
        for (url, visible) in [
            ("/x;jsessionid=s3cr3t", "/x;jsessionid=[hidden]"),
            (
                "/x;token=s3cr3t/y;v=s3cr3t;w?a=1",
                "/x;token=[hidden]/y;v=[hidden];w?a=[hidden]",
            ),
            ("http:/u:s3cr3t@h/x", "http:/[hidden]@h/x"),
            ("http:/s3cr3t@h/x", "http:/[hidden]@h/x"),
            ("http:///u:s3cr3t@h", "http:///[hidden]@h"),
            ("http:\\\\s3cr3t@h\\x", "http:\\\\[hidden]@h\\x"),
            ("\\/s3cr3t@h", "\\/[hidden]@h"),
            ("/\t/s3cr3t@h", "//[hidden]@h"),
            ("http:u:s3cr3t@h", "[hidden]@h"),
            ("https://u:s3c r3t@h/x", "https://[hidden]@h/x"),
            ("https://u:s3c\"r3t@x@h/x", "https://[hidden]@h/x"),
            ("https://u;a=s3cr3t@h:8/x", "https://[hidden]@h:8/x"),
            ("/go/https://s3cr3t@h", "/go/https://[hidden]@h"),
            ("/?s3cr3t;a=1", "/?[hidden];a=[hidden]"),
            ("/?a=1;s3cr3t=", "/?a=[hidden]"),
            ("/@scope/name@1/a=b", "/@scope/name@1/a=b"),
            ("https://a.example:8/x:y", "https://a.example:8/x:y"),
        ] {
            assert_eq!(shown("location", url), visible);
            assert_eq!(Mask::default().target(url), visible);
        }
        assert_eq!(
            shown(
                "link",
                "</x;t=s3cr3t?p=2>; rel=next; title=\"a b\", <http:/s3cr3t@h>"
            ),
            "</x;t=[hidden]?p=[hidden]>; rel=next; title=\"a b\", <http:/[hidden]@h>"
        );
        assert_eq!(
            shown("content-type", "text/html; charset=utf-8"),
            "text/html; charset=utf-8"
        );
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
