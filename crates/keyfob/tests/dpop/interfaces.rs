//! The other interfaces than the async session: the same proofs and nonces.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keyfob::error::BoxError;
use keyfob::middleware::AuthenticationMiddleware;
use keyfob::tower::{AuthenticationLayer, ReplayCloned};
use keyfob::{Error, ErrorKind, Token};
use keyfob_testkit::ManualClock;
use reqwest_middleware::ClientBuilder;
use tower::{Layer, ServiceExt};

use crate::resource_server::{Resource, Rotation, bound, fixed, promptly, prover};

/// The requests of an interface to a server that requires a nonce, then another one, and then rejects the token.
fn expect_three_good_ones(resource: &Resource) {
    assert_eq!(resource.statuses(), [401, 200, 401, 200, 200]);
    let proofs = resource.proofs();
    let key = proofs[0].thumbprint();
    assert!(proofs.iter().all(|proof| proof.thumbprint() == key));
}

#[test]
fn r3_the_blocking_session_sends_proofs_and_obeys_nonces() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let session = keyfob::blocking::Session::builder(fixed(bound("t0ken"), &clock))
        .retry(promptly())
        .base_url(resource.server.url())
        .dpop(prover())
        .build()
        .unwrap();
    let post = || session.post("a/b?c=d").body("x").send().unwrap();
    resource.change_nonce();
    assert_eq!(post().status(), 200);
    resource.change_nonce();
    assert_eq!(post().status(), 200);
    assert_eq!(post().status(), 200);
    expect_three_good_ones(&resource);
}

#[tokio::test]
async fn r3_the_layer_sends_proofs_and_obeys_nonces() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let layer = AuthenticationLayer::builder(fixed(bound("t0ken"), &clock))
        .retry(promptly())
        .origin(resource.server.url())
        .replay(ReplayCloned)
        .dpop(prover())
        .build()
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = layer.layer(client);
    let post = || async {
        let url = resource.server.url_for("/a/../%7Eb?c=d");
        let request = Request::post(url).body(Full::from("x")).unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    resource.change_nonce();
    assert_eq!(post().await, 200);
    resource.change_nonce();
    assert_eq!(post().await, 200);
    assert_eq!(post().await, 200);
    expect_three_good_ones(&resource);
}

#[tokio::test]
async fn r3_a_proof_for_a_uri_without_a_host_names_the_bound_origin() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let layer = AuthenticationLayer::builder(fixed(bound("t0ken"), &clock))
        .origin(resource.server.url())
        .dpop(prover())
        .build()
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let base = resource.server.url();
    // Like a channel that is connected to its server.
    let connected = tower::service_fn(move |mut request: Request<Full<Bytes>>| {
        let path = request.uri().path_and_query().unwrap().clone();
        *request.uri_mut() = format!("{base}{path}").parse().unwrap();
        client.request(request)
    });
    let service = layer.layer(connected);
    resource.change_nonce();
    for _ in 0..2 {
        let request = Request::get("/a?b").body(Full::default()).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    // Only requests without a body can be sent again here, and this one has a body.
    assert_eq!(resource.statuses().last(), Some(&200));
}

#[tokio::test]
async fn r3_the_middleware_sends_proofs_and_obeys_nonces() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let (client, authentication) = AuthenticationMiddleware::builder(fixed(bound("t0ken"), &clock))
        .origin(resource.server.url())
        .dpop(prover())
        .build(reqwest::Client::builder())
        .unwrap();
    let client = ClientBuilder::new(client).with(authentication).build();
    let post = || async {
        let url = resource.server.url_for("/a/b?c=d");
        client.post(url).body("x").send().await.unwrap().status()
    };
    resource.change_nonce();
    assert_eq!(post().await, 200);
    resource.change_nonce();
    assert_eq!(post().await, 200);
    assert_eq!(post().await, 200);
    expect_three_good_ones(&resource);
    // A proof is for one URL, so the redirected request gets one of its own.
    let url = resource.server.url_for("/redirect?/data");
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn r2_no_interface_sends_a_bearer_token_where_possession_is_proved() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.rotate(Rotation::OnSuccess);
    let bearer = || fixed(Token::new("t0ken").unwrap(), &clock);
    let refused = |error: &Error| assert_eq!(error.kind(), ErrorKind::Malformed);

    let layer = AuthenticationLayer::builder(bearer())
        .origin(resource.server.url())
        .dpop(prover())
        .build()
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::get(resource.server.url_for("/data"));
    let request = request.body(Full::default()).unwrap();
    let error: BoxError = layer.layer(client).oneshot(request).await.unwrap_err();
    refused(error.downcast_ref().unwrap());

    let (client, authentication) = AuthenticationMiddleware::builder(bearer())
        .origin(resource.server.url())
        .dpop(prover())
        .build(reqwest::Client::builder())
        .unwrap();
    let client = ClientBuilder::new(client)
        .with_arc(Arc::new(authentication))
        .build();
    let sent = client.get(resource.server.url_for("/data")).send().await;
    match sent.unwrap_err() {
        reqwest_middleware::Error::Middleware(error) => refused(error.downcast_ref().unwrap()),
        other => panic!("{other:?}"),
    }

    let url = resource.server.url();
    let blocking = tokio::task::spawn_blocking(move || {
        keyfob::blocking::Session::builder(bearer_again())
            .base_url(url)
            .dpop(prover())
            .build()
            .unwrap()
            .get("data")
            .send()
            .unwrap_err()
    });
    refused(&blocking.await.unwrap());
    assert_eq!(resource.server.calls(), 0);
}

fn bearer_again() -> keyfob::FixedToken {
    keyfob::FixedToken::new(Token::new("t0ken").unwrap())
}
