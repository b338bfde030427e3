//! R4: which bodies are sent again, and that each is sent in full.

use bytes::Bytes;
use futures_channel::mpsc;
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use keyfob::tower::{AuthenticationService, ReplayBuffered};
use keyfob_testkit::{Expect, ScriptedResponse, ScriptedSource, Server};
use tower::{Layer, ServiceExt};

use crate::fixtures::{Boxed, at_once, builder, full, h1, request, tokens};

#[tokio::test]
async fn r4_a_body_that_cannot_be_replayed_is_sent_once() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/upload").respond(ScriptedResponse::unavailable()));
    let layer = builder(&server, &source).retry(at_once()).build().unwrap();
    let request = request(Method::PUT, server.url_for("/upload"), full("all of it"));
    let response = layer.layer(h1()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(server.received()[0].body, "all of it");
    server.verify();
}

#[tokio::test]
async fn r4_a_closure_decides_which_bodies_are_replayed() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::put("/small")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::status(200)),
    );
    server.expect(Expect::put("/large").respond(ScriptedResponse::unavailable()));
    let layer = builder(&server, &source)
        .retry(at_once())
        .replay(|body: &Full<Bytes>| {
            let length = http_body::Body::size_hint(body).exact()?;
            (length < 4).then(|| body.clone())
        })
        .build()
        .unwrap();
    let client = layer.layer(h1());
    for (path, text, status) in [("/small", "abc", 200), ("/large", "abcd", 503)] {
        let request = request(Method::PUT, server.url_for(path), full(text));
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let bodies: Vec<_> = server.received().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, ["abc", "abc", "abcd"]);
    server.verify();
}

/// A complete boxed body in two pieces.
fn two_pieces() -> Boxed {
    let pieces =
        ["two ", "pieces"].map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}

fn buffered(
    server: &Server,
    source: &ScriptedSource,
    limit: usize,
) -> AuthenticationService<legacy::Client<HttpConnector, Boxed>, ReplayBuffered<Boxed>> {
    let layer = builder(server, source)
        .retry(at_once())
        .replay(ReplayBuffered::new(BodyExt::boxed_unsync).limit(limit))
        .build()
        .unwrap();
    layer.layer(h1())
}

#[tokio::test]
async fn r4_a_complete_boxed_body_is_replayed_in_full() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::put("/")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::unauthorized("Bearer"))
            .respond(ScriptedResponse::status(200)),
    );
    let request = request(Method::PUT, server.url(), two_pieces());
    let response = buffered(&server, &source, 10).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 200);
    for received in server.received() {
        assert_eq!(received.body, "two pieces");
        // As without the layer, because the body has no known length.
        assert_eq!(received.header("transfer-encoding"), Some("chunked"));
    }
    server.verify();
}

#[tokio::test]
async fn r4_a_boxed_body_over_the_limit_is_sent_once_and_in_full() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/").respond(ScriptedResponse::unavailable()));
    let request = request(Method::PUT, server.url(), two_pieces());
    let response = buffered(&server, &source, 9).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 503);
    assert_eq!(server.received()[0].body, "two pieces");
    server.verify();
}

#[tokio::test]
async fn r4_a_body_that_is_still_being_written_is_sent_at_once_and_only_once() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/").respond(ScriptedResponse::unavailable()));
    let (pieces, body) = mpsc::unbounded();
    let piece = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    pieces.unbounded_send(piece("begun ")).unwrap();
    let body = StreamBody::new(body).boxed_unsync();
    let request = request(Method::PUT, server.url(), body);
    let sent = tokio::spawn(buffered(&server, &source, 1000).oneshot(request));
    // The connection exists while the body is incomplete: the layer did not wait for its end.
    while server.connections() == 0 {
        tokio::task::yield_now().await;
    }
    pieces.unbounded_send(piece("and ended")).unwrap();
    drop(pieces);
    assert_eq!(sent.await.unwrap().unwrap().status(), 503);
    assert_eq!(server.received()[0].body, "begun and ended");
    server.verify();
}

#[tokio::test]
async fn r4_a_buffered_body_keeps_the_length_it_promised() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::put("/")
            .header("content-length", "3")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::status(200)),
    );
    let body = full("abc").map_err(|never| match never {}).boxed_unsync();
    let request = request(Method::PUT, server.url(), body);
    let response = buffered(&server, &source, 10).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 200);
    server.verify();
}
