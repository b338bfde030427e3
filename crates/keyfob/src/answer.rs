//! The answer that a session hands over: the client's own, whose body fails when it stalls.

use std::mem;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Version;
use reqwest::Body;
use reqwest::Response;
use reqwest::ResponseBuilderExt;

use crate::alarm::Alarm;
use crate::progress::Limited;

/// The same answer, whose body fails when it stalls.
pub(crate) fn limit_body(mut response: Response, alarm: &Alarm) -> Response {
    let piece = match first_piece(&mut response) {
        First::Nothing => return response,
        First::Piece(piece) => piece,
    };
    let mut builder = http::Response::builder()
        .status(response.status())
        .version(response.version());
    if let Some(headers) = builder.headers_mut() {
        mem::swap(headers, response.headers_mut());
    }
    if let Some(extensions) = builder.extensions_mut() {
        mem::swap(extensions, response.extensions_mut());
    }
    // The URL travels in an extension that only the builder can make.
    let builder = builder.url(response.url().clone());
    let body = match piece {
        Some(Ok(whole)) if response.content_length() == Some(0) => Body::from(whole),
        first => {
            let rest = http::Response::<Body>::from(response).into_body();
            Body::wrap(Limited::new(rest, first, alarm))
        }
    };
    Response::from(
        builder
            .body(body)
            .expect("an answer that was built can be built again"),
    )
}

/// What of a body is there when its head is.
enum First {
    /// There is no body.
    Nothing,
    /// A piece or an error, if one has come.
    Piece(Option<reqwest::Result<Bytes>>),
}

/// Takes what is there of the body, which is all of a short one that came with its head.
fn first_piece(response: &mut Response) -> First {
    // In later versions there may be trailers, which only those find who read the body as it is.
    if response.version() > Version::HTTP_11 {
        return First::Piece(None);
    }
    match response.content_length() {
        None => First::Piece(None),
        Some(0) => First::Nothing,
        Some(_) => First::Piece(response.chunk().now_or_never().and_then(Result::transpose)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::StatusCode;
    use http::header::ETAG;
    use http_body_util::BodyExt;
    use url::Url;

    use super::*;
    use crate::progress::tests::Promised;
    use crate::progress::tests::alarm;
    use crate::runtime::park::block_on;

    const URL: &str = "https://a.example/x?y#z";

    fn answer(body: Promised) -> Response {
        let builder = http::Response::builder()
            .url(Url::parse(URL).unwrap())
            .status(StatusCode::ACCEPTED)
            .header(ETAG, "1")
            .extension(42_u8);
        Response::from(builder.body(Body::wrap(body)).unwrap())
    }

    fn limited(body: Promised) -> Response {
        limit_body(answer(body), &alarm())
    }

    #[test]
    fn r6_a_limited_answer_is_the_same() {
        for body in [
            Promised::new(0, []),
            Promised::new(5, ["whole"]),
            Promised::new(9, ["half"]),
        ] {
            let length = body.0;
            let answer = limited(body);
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
            assert_eq!(answer.version(), Version::HTTP_11);
            assert_eq!(answer.url().as_str(), URL);
            assert_eq!(answer.content_length(), Some(length));
            assert_eq!(answer.headers()[ETAG], "1");
            assert_eq!(answer.extensions().get::<u8>(), Some(&42));
        }
    }

    #[test]
    fn r6_no_piece_and_no_error_of_a_body_is_lost() {
        let whole = limited(Promised::new(5, ["whole"]));
        assert_eq!(block_on(whole.text()).unwrap(), "whole");
        let pieces = limited(Promised::new(8, ["half", "rest"]));
        assert_eq!(block_on(pieces.text()).unwrap(), "halfrest");
        let cut = limited(Promised::new(8, ["half"]).then_a_reset());
        assert!(block_on(cut.bytes()).is_err());
        let reset = limited(Promised::new(8, []).then_a_reset());
        assert!(block_on(reset.bytes()).is_err());
    }

    #[test]
    fn r6_trailers_of_a_later_version_are_kept() {
        let body = Body::wrap(Promised::new(5, ["whole"]).then_trailers());
        let mut answer = http::Response::new(body);
        *answer.version_mut() = Version::HTTP_2;
        let limited = limit_body(Response::from(answer), &alarm());
        let body = http::Response::<Body>::from(limited).into_body();
        let collected = block_on(body.collect()).unwrap();
        assert_eq!(collected.trailers(), Some(&HeaderMap::new()));
        assert_eq!(collected.to_bytes(), "whole");
    }
}
