//! The response that a session returns: the client's own, with a body that fails if it stalls (R8).

use std::mem;

use futures_util::FutureExt;
use http::Version;
use reqwest::{Body, Response, ResponseBuilderExt};
use url::Url;

use crate::client::idle_timeout::IdleTimeout;
use crate::client::session::moving_body::Limited;

/// The same response, whose body fails if it stalls.
pub(crate) fn limit_body(mut response: Response, timeout: &IdleTimeout) -> Response {
    if !timeout.is_limited() || is_empty(&response) {
        return response;
    }
    // A short body comes with its head. It needs no timeout then, which saves 2 % of a request (bench `request_cpu`).
    let first = match response.content_length() {
        Some(1..) => response.chunk().now_or_never().and_then(Result::transpose),
        _ => None,
    };
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.version_mut() = response.version();
    *head.headers_mut() = mem::take(response.headers_mut());
    *head.extensions_mut() = mem::take(response.extensions_mut());
    let url = response.url().clone();
    let body = match first {
        Some(Ok(whole)) if is_empty(&response) => Body::from(whole),
        first => {
            let rest = http::Response::<Body>::from(response).into_body();
            Body::wrap(Limited::new(rest, first, timeout.clone()))
        }
    };
    Response::from(with_url(head.map(|()| body), url))
}

/// Whether nothing follows. Versions after HTTP/1.1 may send trailers even after a body of known length.
fn is_empty(response: &Response) -> bool {
    response.content_length() == Some(0) && response.version() <= Version::HTTP_11
}

/// The response with a URL, which travels in an extension that only a builder can make.
pub(crate) fn with_url<B>(response: http::Response<B>, url: Url) -> http::Response<B> {
    let (mut parts, body) = response.into_parts();
    let mut builder = http::Response::builder();
    if let Some(extensions) = builder.extensions_mut() {
        *extensions = mem::take(&mut parts.extensions);
    }
    let marked = builder.url(url).body(());
    let marked = marked.expect("a response without headers is valid");
    parts.extensions = marked.into_parts().0.extensions;
    http::Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use http::header::ETAG;
    use http::{HeaderMap, StatusCode};
    use http_body_util::BodyExt;
    use url::Url;

    use super::*;
    use crate::client::session::moving_body::tests::{Promised, hour};
    use crate::runtime::block_on::block_on;

    const URL: &str = "https://a.example/x?y#z";

    const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

    fn limited(body: Promised, version: Version) -> Response {
        let builder = http::Response::builder()
            .url(Url::parse(URL).unwrap())
            .status(StatusCode::ACCEPTED)
            .version(version)
            .header(ETAG, "1")
            .extension(42_u8);
        let response = Response::from(builder.body(Body::wrap(body)).unwrap());
        limit_body(response, &hour())
    }

    #[test]
    fn r6_a_limited_response_is_the_same() {
        let bodies = || {
            [
                Promised::new(0, []),
                Promised::new(5, ["whole"]),
                Promised::new(9, ["half"]),
            ]
        };
        let all = VERSIONS.map(|version| bodies().map(|body| (version, body)));
        for (version, body) in all.into_iter().flatten() {
            let length = body.0;
            let response = limited(body, version);
            assert_eq!(response.status(), StatusCode::ACCEPTED);
            assert_eq!(response.version(), version);
            assert_eq!(response.url().as_str(), URL);
            assert_eq!(response.content_length(), Some(length));
            assert_eq!(response.headers()[ETAG], "1");
            assert_eq!(response.extensions().get::<u8>(), Some(&42));
        }
    }

    #[test]
    fn r6_no_part_and_no_error_of_a_body_is_lost() {
        for version in VERSIONS {
            let whole = limited(Promised::new(5, ["whole"]), version);
            assert_eq!(block_on(whole.text()).unwrap(), "whole");
            let pieces = limited(Promised::new(8, ["half", "rest"]), version);
            assert_eq!(block_on(pieces.text()).unwrap(), "halfrest");
            let cut = limited(Promised::new(8, ["half"]).then_a_reset(), version);
            assert!(block_on(cut.bytes()).is_err());
            let reset = limited(Promised::new(8, []).then_a_reset(), version);
            assert!(block_on(reset.bytes()).is_err());
        }
    }

    #[test]
    fn r6_trailers_of_a_later_version_are_kept() {
        for body in [Promised::new(5, ["whole"]), Promised::new(0, [])] {
            let text = if body.0 == 0 { "" } else { "whole" };
            let limited = limited(body.then_trailers(), Version::HTTP_2);
            let body = http::Response::<Body>::from(limited).into_body();
            let collected = block_on(body.collect()).unwrap();
            assert_eq!(collected.trailers(), Some(&HeaderMap::new()));
            assert_eq!(collected.to_bytes(), text);
        }
    }
}
