//! T10 in the clients: each request carries the token of the key that it names, and no other.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use keyfob::error::BoxError;
use keyfob::middleware::AuthenticationMiddleware;
use keyfob::pool::PoolKey;
use keyfob::tower::AuthenticationLayer;
use keyfob::{Error, ErrorKind, Session, TokenPool, blocking};
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server};
use reqwest_middleware::ClientBuilder;
use tower::{Layer, Service, ServiceExt};

/// A pool whose tokens are `alice-1`, `alice-2` and so on.
fn pool() -> TokenPool {
    TokenPool::new(|key: &PoolKey| {
        let (subject, calls) = (key.subject().to_owned(), Arc::new(AtomicUsize::new(0)));
        Ok(keyfob::hook_blocking(move |_| {
            let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
            Ok::<_, std::io::Error>(format!("{subject}-{number}"))
        }))
    })
}

fn key(subject: &str) -> PoolKey {
    PoolKey::new(subject).unwrap()
}

/// An API that rejects the first token of alice.
fn server() -> Server {
    let server = Server::start();
    let refused = ScriptedResponse::unauthorized("Bearer error=\"invalid_token\"");
    server.expect(Expect::get("/data").bearer("alice-1").respond(refused));
    for token in ["alice-2", "bob-1"] {
        let accepted = ScriptedResponse::status(204);
        server.expect(Expect::get("/data").bearer(token).respond(accepted));
    }
    server
}

fn sent(server: &Server) -> Vec<String> {
    let bearer = |received: &Received| received.bearer().unwrap_or_default().to_owned();
    server.received().iter().map(bearer).collect()
}

#[track_caller]
fn check(server: &Server, pool: &TokenPool) {
    assert_eq!(sent(server), ["alice-1", "alice-2", "bob-1"]);
    assert_eq!(pool.status().created, 2);
    assert_eq!(pool.status_of(&key("bob")).unwrap().renewals, 1);
    server.verify();
}

#[tokio::test]
async fn t10_a_request_of_a_session_carries_the_token_of_its_key() {
    let (server, pool) = (server(), pool());
    let session = Session::new(server.url(), pool.without_key()).unwrap();
    for subject in ["alice", "bob"] {
        let tokens = pool.tokens(&key(subject)).unwrap();
        let response = session.get("data").tokens(tokens).send().await.unwrap();
        assert_eq!(response.status(), 204);
    }
    check(&server, &pool);
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("does not name the key"),
        "{error}"
    );
    check(&server, &pool);
}

#[tokio::test]
async fn r2_a_request_without_a_key_gets_its_error_although_the_pool_is_full() {
    let never = || std::future::pending::<Result<String, std::io::Error>>();
    let builder = TokenPool::builder(move |_| Ok(keyfob::hook(move |_| never())));
    let pool = builder.fetches_at_once(1).max_queued(1).build().unwrap();
    let session = Session::new("https://api.example.com", pool.without_key()).unwrap();
    for subject in ["alice", "bob"] {
        let wait = Some(Duration::from_millis(1));
        pool.lease(&key(subject), wait).await.unwrap_err();
        let error = session.get("data").send().await.unwrap_err();
        assert!(
            error.to_string().contains("does not name the key"),
            "{error}"
        );
    }
    let status = pool.status();
    assert_eq!((status.fetching, status.queued), (1, 1));
}

#[test]
fn t10_a_request_of_a_blocking_session_carries_the_token_of_its_key() {
    let (server, pool) = (server(), pool());
    let session = blocking::Session::new(server.url(), pool.without_key()).unwrap();
    for subject in ["alice", "bob"] {
        let tokens = pool.tokens(&key(subject)).unwrap();
        let response = session.get("data").tokens(tokens).send().unwrap();
        assert_eq!(response.status(), 204);
    }
    check(&server, &pool);
}

#[tokio::test]
async fn r1_the_tokens_of_a_request_go_only_to_the_origins_of_its_session() {
    let (server, other, pool) = (Server::start(), Server::start(), pool());
    let session = Session::new(server.url(), pool.without_key()).unwrap();
    let tokens = pool.tokens(&key("alice")).unwrap();
    let request = session.get(other.url()).tokens(tokens);
    assert_eq!(request.send().await.unwrap_err().kind(), ErrorKind::Origin);
    assert!(other.received().is_empty());
}

/// A request of the layer for a key.
fn request(server: &Server, key: Option<PoolKey>) -> Request<Full<Bytes>> {
    let mut request = Request::get(server.url_for("/data"))
        .body(Full::default())
        .unwrap();
    if let Some(key) = key {
        request.extensions_mut().insert(key);
    }
    request
}

fn layered(
    server: &Server,
    pool: &TokenPool,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = http::Response<hyper::body::Incoming>,
    Error = BoxError,
> + Clone {
    let layer = AuthenticationLayer::of_pool(pool)
        .origin(server.url())
        .build()
        .unwrap();
    layer.layer(legacy::Client::builder(TokioExecutor::new()).build_http())
}

#[tokio::test]
async fn t10_a_request_of_the_layer_carries_the_token_of_its_key() {
    let (server, pool) = (server(), pool());
    let client = layered(&server, &pool);
    for subject in ["alice", "bob"] {
        let request = request(&server, Some(key(subject)));
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 204);
    }
    check(&server, &pool);
}

#[tokio::test]
async fn r2_a_request_of_the_layer_without_a_key_is_not_sent() {
    let (server, pool) = (Server::start(), pool());
    let client = layered(&server, &pool);
    let error = client.oneshot(request(&server, None)).await.unwrap_err();
    let error: &Error = error.downcast_ref().unwrap();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(sent(&server).is_empty());
}

#[tokio::test]
async fn r1_a_request_of_the_layer_for_another_origin_makes_no_entry() {
    let (server, other, pool) = (Server::start(), Server::start(), pool());
    let client = layered(&server, &pool);
    let request = request(&other, Some(key("alice")));
    client.oneshot(request).await.unwrap_err();
    assert!(other.received().is_empty());
    assert_eq!(pool.status().entries, 0);
}

#[tokio::test]
async fn t10_a_request_of_the_middleware_carries_the_token_of_its_key() {
    let (server, pool) = (server(), pool());
    let builder = AuthenticationMiddleware::of_pool(&pool).origin(server.url());
    let (client, authentication) = builder.build(reqwest::Client::builder()).unwrap();
    let client = ClientBuilder::new(client).with(authentication).build();
    for subject in ["alice", "bob"] {
        let request = client
            .get(server.url_for("/data"))
            .with_extension(key(subject));
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
    check(&server, &pool);
    client
        .get(server.url_for("/data"))
        .send()
        .await
        .unwrap_err();
    check(&server, &pool);
}
