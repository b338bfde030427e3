//! R2, R8, R9, T1 and S1: each request has a credential and a timeout, and keeps the caller's headers.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::AUTHORIZATION;
use http_body_util::Full;
use keyfob::tower::{AuthenticationLayer, AuthenticationLayerBuilder};
use keyfob::{Error, ErrorKind, Token, TokenCache};
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, ScriptedSource, Server};
use tower::{Layer, ServiceExt};

use crate::fixtures::{at_once, builder, get, h1, request, tokens};

#[tokio::test]
async fn r2_without_a_token_nothing_is_sent() {
    let server = Server::start();
    let source = ScriptedSource::new([Err(Error::refused("the account is closed"))]);
    let layer = builder(&server, &source).build().unwrap();
    let error = layer.layer(h1()).oneshot(get(server.url())).await;
    let error = *error.unwrap_err().downcast::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn r8_an_attempt_without_a_response_ends_after_its_timeout() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(
        Expect::get("/")
            .respond(ScriptedResponse::hang())
            .respond(ScriptedResponse::status(200)),
    );
    server.expect(Expect::post("/").respond(ScriptedResponse::hang()));
    let source = tokens(&["one"]);
    let cache = TokenCache::builder(source.clone()).clock(clock.clone());
    let layer = AuthenticationLayer::builder(cache.build().unwrap())
        .origin(server.url())
        .retry(at_once())
        .build()
        .unwrap();
    assert_eq!(AuthenticationLayerBuilder::TIMEOUT, Duration::from_secs(20));
    let limit = Duration::from_secs(20);

    let sent = tokio::spawn(layer.layer(h1()).oneshot(get(server.url())));
    server.until_calls(1).await;
    clock.advance(limit);
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);

    let post = request(Method::POST, server.url(), Full::<Bytes>::default());
    let sent = tokio::spawn(layer.layer(h1()).oneshot(post));
    server.until_calls(3).await;
    clock.advance(limit);
    let error = *sent
        .await
        .unwrap()
        .unwrap_err()
        .downcast::<Error>()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("`timeout`"), "{error}");
    server.verify();
}

#[tokio::test]
async fn r9_the_credential_replaces_the_callers() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let own = Expect::get("/").bearer("one").header("user-agent", "mine");
    server.expect(own.respond(ScriptedResponse::status(200)));
    let layer = builder(&server, &source).build().unwrap();
    let mut request = get(server.url());
    let fields = [
        (AUTHORIZATION, "Basic bWU6bWU=".parse().unwrap()),
        (http::header::USER_AGENT, "mine".parse().unwrap()),
    ];
    request.headers_mut().extend(fields);
    assert!(layer.layer(h1()).oneshot(request).await.is_ok());
    server.verify();
}

#[tokio::test]
async fn t1_concurrent_callers_cause_one_fetch() {
    let (server, source) = (Server::start(), GatedSource::new());
    server.expect(
        Expect::get("/")
            .bearer("one")
            .respond(ScriptedResponse::status(200))
            .times(20),
    );
    let layer = AuthenticationLayer::new(server.url(), source.clone()).unwrap();
    let client = layer.layer(h1());
    let sent: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.clone().oneshot(get(server.url()))))
        .collect();
    source.next_call().await.respond(Token::new("one"));
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(source.calls(), 1);
    server.verify();
}

#[test]
fn s1_debug_output_contains_no_token() {
    let source = tokens(&["s3cret"]);
    let cache = TokenCache::new(source.clone());
    cache.authenticate_blocking().unwrap();
    let builder = AuthenticationLayer::builder(cache).origin("https://api.example");
    let shown = format!("{builder:?}");
    let layer = builder.build().unwrap();
    let shown = format!("{shown} {layer:?} {:?}", layer.layer("inner"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
