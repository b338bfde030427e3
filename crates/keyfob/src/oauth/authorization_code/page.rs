//! The pages that the browser shows at the end of a sign-in.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

/// The result of a browser request. A page contains nothing from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    SignedIn,
    Denied,
    Failed,
    /// The response of another sign-in, or no response at all.
    Unrelated,
    /// A second response for the same sign-in.
    AlreadyAnswered,
    NotFound,
    MethodNotAllowed,
}

impl Page {
    /// The response with its headers: it is not cached, sends no referrer, and loads nothing.
    pub(crate) fn response(self) -> Response<String> {
        let mut response = Response::new(self.html());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let fixed = HeaderValue::from_static;
        headers.insert(CONTENT_TYPE, fixed("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, fixed("no-store"));
        headers.insert(REFERRER_POLICY, fixed("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, policy());
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, fixed("GET"));
        }
        response
    }

    fn status(self) -> StatusCode {
        match self {
            // The browser's request itself succeeded, whatever the result of the sign-in.
            Self::SignedIn | Self::Denied | Self::Failed => StatusCode::OK,
            Self::Unrelated => StatusCode::BAD_REQUEST,
            Self::AlreadyAnswered => StatusCode::CONFLICT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn html(self) -> String {
        let (class, mark) = match self {
            Self::SignedIn => ("good", "✓"),
            Self::Denied | Self::Failed => ("bad", "✕"),
            _ => ("bad", "!"),
        };
        let (title, text) = self.content();
        TEMPLATE
            .replace("{style}", STYLE)
            .replace("{class}", class)
            .replace("{mark}", mark)
            .replace("{title}", title)
            .replace("{text}", text)
    }

    /// The heading, and the text, which says what to do next.
    fn content(self) -> (&'static str, &'static str) {
        match self {
            Self::SignedIn => (
                "You are signed in",
                "You can close this page and return to the program that opened it.",
            ),
            Self::Denied => (
                "You are not signed in",
                "The sign-in was denied. If you did not intend this, return to the program and start it again.",
            ),
            Self::Failed => (
                "You are not signed in",
                "Something went wrong. The program that opened this page shows the error.",
            ),
            Self::Unrelated => (
                "This page belongs to another sign-in",
                "Nothing has changed. Return to the program and open the address that it shows.",
            ),
            Self::AlreadyAnswered => (
                "This sign-in is already in progress or complete",
                "Nothing has changed. Return to the program that opened this page.",
            ),
            Self::NotFound => (
                "There is no such page",
                "This address is used only for signing in.",
            ),
            Self::MethodNotAllowed => (
                "This request is not supported",
                "This page can only be opened in a browser.",
            ),
        }
    }
}

/// Allows no script, image, frame or request. The only style is allowed by its hash.
fn policy() -> HeaderValue {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("the policy is visible ASCII")
}

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Page; 7] = [
        Page::SignedIn,
        Page::Denied,
        Page::Failed,
        Page::Unrelated,
        Page::AlreadyAnswered,
        Page::NotFound,
        Page::MethodNotAllowed,
    ];

    #[test]
    fn no_page_is_cached_sends_a_referrer_or_loads_anything() {
        for page in ALL {
            let response = page.response();
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert!(
                header("content-security-policy")
                    .starts_with("default-src 'none'; style-src 'sha256-")
            );
            let html = response.body();
            for loads in [
                "<script", "src=", "href=", "url(", "@import", "http:", "https:",
            ] {
                assert!(!html.contains(loads), "{page:?} has {loads}");
            }
        }
    }

    #[test]
    fn the_policy_allows_the_style_of_the_page() {
        let response = Page::SignedIn.response();
        let (_, rest) = response.body().split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        let policy = response.headers()["content-security-policy"].to_str();
        assert!(policy.unwrap().contains(&format!("'sha256-{hash}'")));
    }

    #[test]
    fn only_one_page_claims_success() {
        for page in ALL {
            let claims = page.response().body().contains("You are signed in");
            assert_eq!(claims, page == Page::SignedIn, "{page:?}");
        }
    }
}
