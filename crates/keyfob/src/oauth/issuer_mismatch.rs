//! The error for metadata of another issuer, with the likely fix.

use url::Url;

use crate::error::error::Error;
use crate::oauth::endpoint::Endpoint;

/// The error for a document that names another issuer than the configured one, or none (RFC 8414 §3.3).
pub(crate) fn other_issuer(url: &Endpoint, found: Option<&str>, configured: &str) -> Error {
    let Some(found) = found else {
        // Perhaps the page of a server that is being maintained.
        return Error::unavailable(format!(
            "{url} names no issuer, so it is not known whose endpoints it lists; give the token endpoint to the client"
        ));
    };
    let (shown, fix) = match is_shown(found) {
        true => (format!("the issuer `{found}`"), fix(found, configured)),
        false => (
            "an issuer that cannot be shown".to_owned(),
            EXACTLY.to_owned(),
        ),
    };
    Error::refused(format!(
        "{url} names another issuer than the configured one: it names {shown}; {fix}"
    ))
}

/// What a person has to change, by how the two names differ.
fn fix(found: &str, configured: &str) -> String {
    let use_it = |why: &str| format!("{why}: configure `{found}`");
    if found.contains('{') {
        return "the issuer differs for each tenant: configure the issuer of your tenant, with its id".to_owned();
    }
    if found.trim_end_matches('/') == configured.trim_end_matches('/') {
        return use_it("only the slash at the end differs");
    }
    if found.eq_ignore_ascii_case(configured) {
        return use_it("only upper and lower case differ");
    }
    let (Ok(theirs), Ok(ours)) = (Url::parse(found), Url::parse(configured)) else {
        return EXACTLY.to_owned();
    };
    let same_path = theirs.path().trim_end_matches('/') == ours.path().trim_end_matches('/');
    if is_loopback(&theirs) && is_loopback(&ours) && theirs.host() != ours.host() {
        return use_it("this machine has several names, and the server uses another one");
    }
    if theirs.host() == ours.host() && same_path {
        return match (theirs.scheme(), ours.scheme()) {
            (theirs, ours) if theirs == ours => use_it("only the port differs"),
            ("https", _) => use_it("only the scheme differs"),
            // The issuer that the server names would be refused, because it is plain http.
            _ => "only the scheme differs: the server does not know that it is behind a TLS proxy; correct its public URL, or \
                  give `token_endpoint` in place of `issuer`"
                .to_owned(),
        };
    }
    if theirs.origin() == ours.origin() {
        return format!(
            "the server has several tenants or issuers: configure `{found}` if that is yours, or give `token_endpoint` in place \
             of `issuer`"
        );
    }
    EXACTLY.to_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether what a server wrote may be shown: a URL in visible ASCII without userinfo and query, and not too long.
fn is_shown(issuer: &str) -> bool {
    issuer.len() <= MAX_SHOWN
        && (issuer.starts_with("https://") || issuer.starts_with("http://"))
        && issuer
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#@`".contains(&byte))
}

const EXACTLY: &str = "give the issuer exactly as the server writes it, or give `token_endpoint` in place of `issuer`";

const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fix_depends_on_how_the_issuers_differ() {
        for (found, configured, words) in [
            (
                "https://a.example/",
                "https://a.example",
                "slash at the end",
            ),
            (
                "https://a.example",
                "https://a.example/",
                "configure `https://a.example`",
            ),
            (
                "http://localhost:8080/r",
                "http://127.0.0.1:8080/r",
                "several names",
            ),
            (
                "http://127.0.0.1:8080",
                "http://[::1]:8080",
                "several names",
            ),
            (
                "https://a.example/Realm",
                "https://a.example/realm",
                "lower case",
            ),
            (
                "http://a.example/r",
                "https://a.example/r",
                "correct its public URL, or give `token_endpoint` in place of `issuer`",
            ),
            (
                "https://a.example/r",
                "http://a.example/r",
                "configure `https://a.example/r`",
            ),
            ("https://a.example:8443", "https://a.example", "port"),
            (
                "https://l.example/{tenantid}/v2.0",
                "https://l.example/common/v2.0",
                "your tenant",
            ),
            (
                "https://l.example/1/v2.0",
                "https://l.example/2/v2.0",
                "several tenants",
            ),
            ("https://evil.example", "https://a.example", "exactly"),
        ] {
            let fix = fix(found, configured);
            assert!(fix.contains(words), "{found} {configured}: {fix}");
        }
    }

    #[test]
    fn s1_only_a_plain_url_of_the_server_is_shown() {
        let url = Endpoint::parse("metadata document", "https://a.example/").unwrap();
        let text = |found| other_issuer(&url, Some(found), "https://a.example").to_string();
        assert!(text("https://b.example/x").contains("`https://b.example/x`"));
        for found in [
            "https://b.example/?hush",
            "https://hush@b.example",
            "hush",
            "https://\u{1b}[2Jhush",
        ] {
            assert!(!text(found).contains("hush"), "{found}");
        }
        assert!(
            other_issuer(&url, None, "https://a.example")
                .to_string()
                .contains("no issuer")
        );
    }
}
