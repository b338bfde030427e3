//! R4 to R6: what the layer retries, for how long, and what the caller gets in the end.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy;
use keyfob::exchange::Failure;
use keyfob::tower::{AuthenticationLayer, AuthenticationLayerBuilder, ReplayCloned};
use keyfob::{Error, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, ServiceExt};

use crate::fixtures::{Scripted, at_once, builder, full, get, h1, request, tokens};

#[tokio::test]
async fn r4_a_request_without_a_body_is_retried() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::get("/")
            .respond(ScriptedResponse::reset())
            .respond(ScriptedResponse::status(502))
            .respond(ScriptedResponse::status(200)),
    );
    let layer = builder(&server, &source).retry(at_once()).build().unwrap();
    let empty = request(Method::GET, server.url(), Empty::<Bytes>::new());
    let response = layer.layer(h1()).oneshot(empty).await.unwrap();
    assert_eq!(response.status(), 200);
    server.verify();
}

#[tokio::test]
async fn r4_a_post_with_a_broken_connection_is_sent_once_and_r6_its_error_returned() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::post("/").respond(ScriptedResponse::reset()));
    let layer = builder(&server, &source)
        .retry(at_once())
        .replay(ReplayCloned)
        .build()
        .unwrap();
    let post = request(Method::POST, server.url(), full("x"));
    let error = layer.layer(h1()).oneshot(post).await.unwrap_err();
    assert!(error.is::<legacy::Error>(), "{error:?}");
    server.verify();
}

/// Sends a POST over a service that fails twice, and returns how often it was called.
async fn calls_of_a_post(layer: AuthenticationLayerBuilder, kind: io::ErrorKind) -> usize {
    let layer = layer.retry(at_once()).build().unwrap();
    let service = Scripted::new(move |calls| match calls {
        1 | 2 => Err(io::Error::from(kind)),
        _ => Ok(200),
    });
    let post = request(
        Method::POST,
        "https://api.example/",
        Full::<Bytes>::default(),
    );
    let _ = layer.layer(service.clone()).oneshot(post).await;
    service.seen().len()
}

#[tokio::test]
async fn r4_a_refused_connection_is_retried_for_every_method() {
    for (kind, calls) in [
        (io::ErrorKind::ConnectionRefused, 3),
        (io::ErrorKind::ConnectionReset, 1),
        (io::ErrorKind::HostUnreachable, 1),
        (io::ErrorKind::TimedOut, 1),
    ] {
        let source = tokens(&["one"]);
        let layer = AuthenticationLayer::builder(source.clone()).origin("https://api.example");
        assert_eq!(calls_of_a_post(layer, kind).await, calls, "{kind}");
    }
}

#[tokio::test]
async fn r4_a_custom_classifier_decides_about_errors_of_the_service() {
    let source = tokens(&["one"]);
    let layer = AuthenticationLayer::builder(source.clone())
        .origin("https://api.example")
        .classify(|error| {
            let error = error.downcast_ref::<io::Error>()?;
            (error.kind() == io::ErrorKind::HostUnreachable).then_some(Failure::Connect)
        });
    assert_eq!(
        calls_of_a_post(layer, io::ErrorKind::HostUnreachable).await,
        3
    );
}

#[tokio::test]
async fn r5_retry_after_is_obeyed_and_r7_each_attempt_is_authorized_anew() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(
        Expect::post("/")
            .bearer("one")
            .respond(ScriptedResponse::too_many_requests("60")),
    );
    server.expect(
        Expect::post("/")
            .bearer("two")
            .respond(ScriptedResponse::status(200)),
    );
    let minute = |text| Token::new(text).map(|token| token.expires_in(Duration::from_secs(60)));
    let source = ScriptedSource::new([minute("one"), minute("two")]);
    let cache = TokenCache::builder(source.clone()).clock(clock.clone());
    let layer = AuthenticationLayer::builder(cache.build().unwrap())
        .origin(server.url())
        .retry(at_once())
        .replay(ReplayCloned)
        .build()
        .unwrap();
    let post = request(Method::POST, server.url(), full("x"));
    let sent = tokio::spawn(layer.layer(h1()).oneshot(post));
    clock.until_sleeping_for(Duration::from_secs(60)).await;
    assert_eq!(server.calls(), 1);
    clock.advance(Duration::from_secs(60));
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    server.verify();
}

#[tokio::test]
async fn r6_without_a_token_for_a_retry_the_last_response_is_returned() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server
        .expect(Expect::get("/").respond(ScriptedResponse::too_many_requests("60").body("later")));
    let minute = Token::new("one").map(|token| token.expires_in(Duration::from_secs(60)));
    let source = ScriptedSource::new([minute, Err(Error::refused("revoked for good"))]);
    let cache = TokenCache::builder(source.clone()).clock(clock.clone());
    let layer = AuthenticationLayer::builder(cache.build().unwrap())
        .origin(server.url())
        .retry(at_once())
        .build()
        .unwrap();
    let sent = tokio::spawn(layer.layer(h1()).oneshot(get(server.url())));
    clock.until_sleeping_for(Duration::from_secs(60)).await;
    clock.advance(Duration::from_secs(60));
    assert_eq!(sent.await.unwrap().unwrap().status(), 429);
    server.verify();
}

#[tokio::test]
async fn r5_a_pause_beyond_the_total_time_returns_r6_the_last_response() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let busy = ScriptedResponse::too_many_requests("3600").body("later");
    server.expect(Expect::get("/").respond(busy));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "later"
    );
    server.verify();
}

#[tokio::test]
async fn r5_all_services_of_a_layer_share_one_budget() {
    let source = tokens(&["one"]);
    let layer = AuthenticationLayer::builder(source.clone())
        .origin("https://api.example")
        .retry(at_once())
        .build()
        .unwrap();
    let service = Scripted::new(|_| Ok::<_, Infallible>(500));
    for _ in 0..100 {
        let client = layer.layer(service.clone());
        let response = client.oneshot(get("https://api.example/")).await.unwrap();
        assert_eq!(response.status(), 500);
    }
    assert_eq!(service.seen().len(), 100 + 35);
}

#[tokio::test]
async fn r5_layers_of_one_policy_do_not_draw_on_one_budget() {
    let (policy, source) = (at_once(), tokens(&["one"]));
    let cache = TokenCache::new(source.clone());
    let service = Scripted::new(|_| Ok::<_, Infallible>(500));
    for _ in 0..2 {
        let layer = AuthenticationLayer::builder(cache.clone()).origin("https://api.example");
        let layer = layer.retry(policy.clone()).build().unwrap();
        for _ in 0..20 {
            let client = layer.layer(service.clone());
            let sent = client.oneshot(get("https://api.example/")).await;
            assert_eq!(sent.unwrap().status(), 500);
        }
    }
    assert_eq!(service.seen().len(), 2 * (20 + 35));
}

#[tokio::test]
async fn r6_the_last_error_of_the_service_is_returned_unchanged() {
    #[derive(Debug, PartialEq)]
    struct Own(usize);
    impl std::fmt::Display for Own {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "failure {}", self.0)
        }
    }
    impl std::error::Error for Own {}

    let source = tokens(&["one"]);
    let layer = AuthenticationLayer::builder(source.clone())
        .origin("https://api.example")
        .retry(at_once())
        .build()
        .unwrap();
    let service = Scripted::new(|calls| Err(Own(calls)));
    let error = layer.layer(service).oneshot(get("https://api.example/"));
    let error = error.await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Own(4)), "{error}");
}

#[tokio::test]
async fn r4_a_finished_attempt_frees_what_the_next_one_needs() {
    for (first, texts) in [(503, &["one"][..]), (401, &["one", "two"])] {
        let service = Scripted::new(move |call| match call {
            1 => Ok::<_, Infallible>(first),
            _ => Ok(200),
        });
        let tokens = TokenCache::from(tokens(texts));
        // With a token, the layer calls the service at once, and holds the future of the first attempt itself.
        tokens.authenticate().await.unwrap();
        let layer = AuthenticationLayer::builder(tokens)
            .origin("https://api.example.com")
            .retry(at_once())
            .build()
            .unwrap();
        let client = layer.layer(ConcurrencyLimit::new(service.clone(), 1));
        let response = client.oneshot(get("https://api.example.com/data"));
        let response = tokio::time::timeout(Duration::from_secs(60), response)
            .await
            .expect("the second attempt gets the permit of the first");
        assert_eq!(response.unwrap().status(), 200);
        assert_eq!(service.seen().len(), 2, "{first}");
    }
}
