//! R1: a credential goes only to the origins it was given for.

use std::convert::Infallible;

use http::HeaderName;
use keyfob::tower::AuthenticationLayer;
use keyfob::{Error, ErrorKind, Token};
use keyfob_testkit::{Expect, ScriptedResponse, ScriptedSource, Server};
use tower::{Layer, ServiceExt};

use crate::fixtures::{Scripted, builder, get, h1, tokens};

#[tokio::test]
async fn r1_a_token_with_a_custom_header_name_is_sent_in_that_header() {
    let server = Server::start();
    let name = HeaderName::from_static("x-api-key");
    let source = ScriptedSource::new([Token::new("one").map(|token| token.header_name(name))]);
    let own = Expect::get("/").header("x-api-key", "one");
    server.expect(own.respond(ScriptedResponse::status(200)));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.received()[0].header("authorization"), None);
    server.verify();
}

/// The error of the layer for a request that it must not send.
async fn refusal(layer: AuthenticationLayer, uri: &str) -> Error {
    let service = Scripted::new(|_| Ok::<_, Infallible>(200));
    let refused = layer.layer(service.clone()).oneshot(get(uri)).await;
    assert!(service.seen().is_empty());
    *refused.unwrap_err().downcast().unwrap()
}

#[tokio::test]
async fn r1_a_request_for_another_origin_is_not_sent() {
    for uri in [
        "https://evil.example/",
        "https://api.example:8443/",
        "http://api.example/",
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
    ] {
        let source = tokens(&[]);
        let layer = AuthenticationLayer::new("https://api.example", source.clone()).unwrap();
        let error = refusal(layer, uri).await;
        assert_eq!(error.kind(), ErrorKind::Origin, "{uri}");
    }
}

#[tokio::test]
async fn r1_plain_http_is_refused_and_the_error_says_how_to_allow_it() {
    let new = |source: &ScriptedSource| AuthenticationLayer::builder(source.clone());
    let source = tokens(&["one"]);
    let error = new(&source)
        .origin("http://api.example")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("allow_plain_http"), "{error}");

    let layer = new(&source).any_https_origin().build().unwrap();
    let error = refusal(layer, "http://api.example/").await;
    assert!(error.to_string().contains("allow_plain_http"), "{error}");

    let layer = new(&source).allow_plain_http("http://api.example");
    let service = Scripted::new(|_| Ok::<_, Infallible>(200));
    let client = layer.build().unwrap().layer(service.clone());
    client.oneshot(get("http://api.example/")).await.unwrap();
    assert_eq!(service.seen(), ["Bearer one"]);
}

#[tokio::test]
async fn r1_a_layer_needs_an_origin() {
    let source = tokens(&[]);
    let unbound = AuthenticationLayer::builder(source.clone()).build();
    assert_eq!(unbound.unwrap_err().kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn r1_a_request_without_a_host_goes_to_the_only_origin() {
    let source = tokens(&["one"]);
    let service = Scripted::new(|_| Ok::<_, Infallible>(200));
    let layer = AuthenticationLayer::new("https://api.example", source.clone()).unwrap();
    let client = layer.layer(service.clone());
    client
        .oneshot(get("/package.Service/Method"))
        .await
        .unwrap();
    assert_eq!(service.seen(), ["Bearer one"]);

    let two = AuthenticationLayer::builder(source.clone())
        .origin("https://api.example")
        .origin("https://other.example");
    let error = refusal(two.build().unwrap(), "/x").await;
    assert_eq!(error.kind(), ErrorKind::Input);
    let any = AuthenticationLayer::builder(source.clone()).any_https_origin();
    let error = refusal(any.build().unwrap(), "/x").await;
    assert_eq!(error.kind(), ErrorKind::Input);
}
