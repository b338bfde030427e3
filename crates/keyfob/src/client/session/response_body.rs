//! The answer that a session hands over: the client's own, whose body fails when it stalls.

use std::mem;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Version;
use http_body::Body as _;
use reqwest::{Body, Response, ResponseBuilderExt};

use crate::client::session::idle_timeout::Limited;
use crate::client::shared_timer::Alarm;

/// The same answer, whose body fails when it stalls.
pub(crate) fn limit_body(mut response: Response, alarm: &Alarm) -> Response {
    // All of a short body comes with its head.
    let first = match response.content_length() {
        Some(0) if !may_have_trailers(&response) => return response,
        Some(1..) => response.chunk().now_or_never().and_then(Result::transpose),
        _ => None,
    };
    let (status, version) = (response.status(), response.version());
    let headers = mem::take(response.headers_mut());
    let extensions = mem::take(response.extensions_mut());
    // The URL travels in an extension that only the builder can make.
    let mut builder = http::Response::builder();
    if let Some(room) = builder.extensions_mut() {
        *room = extensions;
    }
    let builder = builder.url(response.url().clone());
    let answer = builder.body(limited(response, first, alarm));
    let mut answer = answer.expect("there is nothing in it that could be wrong");
    *answer.status_mut() = status;
    *answer.version_mut() = version;
    *answer.headers_mut() = headers;
    Response::from(answer)
}

/// What was read of a body already, and the rest of it, which may stall.
fn limited(response: Response, first: Option<reqwest::Result<Bytes>>, alarm: &Alarm) -> Body {
    let ended = response.content_length() == Some(0) && !may_have_trailers(&response);
    let first = match first {
        Some(Ok(whole)) if ended => return Body::from(whole),
        first => first,
    };
    let rest = http::Response::<Body>::from(response).into_body();
    match first {
        Some(Ok(whole)) if rest.is_end_stream() => Body::from(whole),
        first => Body::wrap(Limited::new(rest, first, alarm)),
    }
}

/// After a body of known length, only versions later than HTTP/1.1 have any; they are for those who read on.
fn may_have_trailers(response: &Response) -> bool {
    response.version() > Version::HTTP_11
}

#[cfg(test)]
mod tests {
    use http::header::ETAG;
    use http::{HeaderMap, StatusCode};
    use http_body_util::BodyExt;
    use url::Url;

    use super::*;
    use crate::client::session::idle_timeout::tests::{Promised, alarm};
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
        let answer = Response::from(builder.body(Body::wrap(body)).unwrap());
        limit_body(answer, &alarm())
    }

    #[test]
    fn r6_a_limited_answer_is_the_same() {
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
            let answer = limited(body, version);
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            assert_eq!(answer.version(), version);
            assert_eq!(answer.url().as_str(), URL);
            assert_eq!(answer.content_length(), Some(length));
            assert_eq!(answer.headers()[ETAG], "1");
            assert_eq!(answer.extensions().get::<u8>(), Some(&42));
        }
    }

    #[test]
    fn r6_no_piece_and_no_error_of_a_body_is_lost() {
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
