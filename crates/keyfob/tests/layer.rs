//! The tower layer, over the clients that people have: `hyper-util` on both versions of HTTP, `tonic`, and any service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::{FutureExt, StreamExt};
use http::header::AUTHORIZATION;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyfob::error::BoxError;
use keyfob::exchange::Failure;
use keyfob::tower::{
    AuthenticationLayer, AuthenticationLayerBuilder, AuthenticationService, ReplayBuffered,
    ReplayCloned,
};
use keyfob::{Error, ErrorKind, RetryPolicy, Token, TokenCache};
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, ScriptedSource, Server};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

type Boxed = UnsyncBoxBody<Bytes, io::Error>;

fn full(text: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(text.as_bytes()))
}

fn tokens(texts: &[&str]) -> ScriptedSource {
    ScriptedSource::new(texts.iter().map(|text| Token::new(*text)))
}

fn h1<B>() -> legacy::Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

fn h2<B>() -> legacy::Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

fn request<B>(method: Method, url: impl AsRef<str>, body: B) -> Request<B> {
    Request::builder()
        .method(method)
        .uri(url.as_ref())
        .body(body)
        .unwrap()
}

fn get(url: impl AsRef<str>) -> Request<Full<Bytes>> {
    request(Method::GET, url, Full::default())
}

/// Waits for the end of the renewal that a rejection began; whoever asks meanwhile may still have the old token.
async fn until_replaced(tokens: &TokenCache) {
    let replaced = |lease: keyfob::cache::Lease| lease.token().expose() == "two";
    while !tokens.ready().is_some_and(replaced) {
        tokio::task::yield_now().await;
    }
}

/// A policy that retries at once, unless the server asks for a pause.
fn at_once() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO)
}

fn builder(server: &Server, source: &ScriptedSource) -> AuthenticationLayerBuilder {
    AuthenticationLayer::builder(source.clone()).origin(server.url())
}

/// A service without a network: notes each request's credential and answers as told.
#[derive(Clone)]
struct Scripted<A> {
    seen: Arc<Mutex<Vec<String>>>,
    answer: A,
}

impl<A> Scripted<A> {
    fn new(answer: A) -> Self {
        Self {
            seen: Arc::default(),
            answer,
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl<A, B, E> Service<Request<B>> for Scripted<A>
where
    A: FnMut(usize) -> Result<u16, E>,
{
    type Response = Response<Full<Bytes>>;
    type Error = E;
    type Future = std::future::Ready<Result<Self::Response, E>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let credential = request.headers().get(AUTHORIZATION).unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.push(credential.to_str().unwrap().to_owned());
        let calls = seen.len();
        drop(seen);
        ready((self.answer)(calls).map(|status| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        }))
    }
}

async fn r3_heals<S, R>(client: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Send + 'static,
{
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::post("/jobs")
            .bearer("one")
            .answer(ScriptedResponse::unauthorized(
                "Bearer error=\"invalid_token\"",
            )),
    );
    server.expect(
        Expect::post("/jobs")
            .bearer("two")
            .header("x-own", "kept")
            .answer(ScriptedResponse::text("done")),
    );
    let layer = builder(&server, &source)
        .replay(ReplayCloned)
        .build()
        .unwrap();
    let mut request = request(Method::POST, server.url_for("/jobs"), full("work"));
    let own = (HeaderName::from_static("x-own"), "kept".parse().unwrap());
    request.headers_mut().extend([own]);
    let response = layer.layer(client).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "done");
    let received = server.received();
    assert!(received.iter().all(|request| request.body == "work"));
    server.verify();
}

#[tokio::test]
async fn r3_a_401_renews_and_is_replayed_once_over_http_1() {
    r3_heals(h1()).await;
}

#[tokio::test]
async fn r3_a_401_renews_and_is_replayed_once_over_http_2() {
    r3_heals(h2()).await;
}

#[tokio::test]
async fn r3_a_second_401_is_returned_as_it_is() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::get("/")
            .answer(ScriptedResponse::unauthorized("Bearer"))
            .answer(ScriptedResponse::unauthorized("Bearer").body("no")),
    );
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "no"
    );
    server.verify();
}

#[tokio::test]
async fn r3_a_missing_scope_does_not_renew() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let challenge = "Bearer error=\"insufficient_scope\"";
    server.expect(Expect::get("/").answer(ScriptedResponse::unauthorized(challenge)));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    server.verify();
}

#[tokio::test]
async fn r3_the_same_token_again_is_not_sent_again() {
    let (server, source) = (Server::start(), tokens(&["one", "one"]));
    server.expect(Expect::get("/").answer(ScriptedResponse::unauthorized("Bearer")));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    server.verify();
}

#[tokio::test]
async fn r4_a_body_that_cannot_be_replayed_is_sent_once() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/upload").answer(ScriptedResponse::unavailable()));
    let layer = builder(&server, &source).retry(at_once()).build().unwrap();
    let request = request(Method::PUT, server.url_for("/upload"), full("all of it"));
    let response = layer.layer(h1()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(server.received()[0].body, "all of it");
    server.verify();
}

#[tokio::test]
async fn r3_the_refused_token_of_a_body_that_is_gone_is_replaced_for_the_next() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    let upload = Expect::put("/upload");
    server.expect(upload.answer(ScriptedResponse::unauthorized("Bearer")));
    server.expect(
        Expect::get("/")
            .bearer("two")
            .answer(ScriptedResponse::status(204)),
    );
    let layer = builder(&server, &source).build().unwrap();
    let client = layer.layer(h1());
    let put = request(Method::PUT, server.url_for("/upload"), full("x"));
    assert_eq!(client.clone().oneshot(put).await.unwrap().status(), 401);
    until_replaced(layer.tokens()).await;
    let response = client.oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 204);
    server.verify();
}

#[tokio::test]
async fn r4_a_closure_says_which_bodies_are_replayed() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::put("/small")
            .answer(ScriptedResponse::unavailable())
            .answer(ScriptedResponse::status(200)),
    );
    server.expect(Expect::put("/large").answer(ScriptedResponse::unavailable()));
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

/// A boxed body that is all there, in two pieces.
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
async fn r4_a_boxed_body_that_is_there_is_replayed_in_full() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::put("/")
            .answer(ScriptedResponse::unavailable())
            .answer(ScriptedResponse::unauthorized("Bearer"))
            .answer(ScriptedResponse::status(200)),
    );
    let request = request(Method::PUT, server.url(), two_pieces());
    let response = buffered(&server, &source, 10).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 200);
    for received in server.received() {
        assert_eq!(received.body, "two pieces");
        // As without the layer: the body had promised no length.
        assert_eq!(received.header("transfer-encoding"), Some("chunked"));
    }
    server.verify();
}

#[tokio::test]
async fn r4_a_boxed_body_over_the_limit_is_sent_once_and_in_full() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/").answer(ScriptedResponse::unavailable()));
    let request = request(Method::PUT, server.url(), two_pieces());
    let response = buffered(&server, &source, 9).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 503);
    assert_eq!(server.received()[0].body, "two pieces");
    server.verify();
}

#[tokio::test]
async fn r4_a_body_that_is_still_written_is_not_waited_for_and_sent_once() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::put("/").answer(ScriptedResponse::unavailable()));
    let (pieces, body) = mpsc::unbounded();
    let piece = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    pieces.unbounded_send(piece("begun ")).unwrap();
    let body = StreamBody::new(body).boxed_unsync();
    let request = request(Method::PUT, server.url(), body);
    let sent = tokio::spawn(buffered(&server, &source, 1000).oneshot(request));
    // Its connection is made while the body is open: the layer did not wait for the end.
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
            .answer(ScriptedResponse::unavailable())
            .answer(ScriptedResponse::status(200)),
    );
    let body = full("abc").map_err(|never| match never {}).boxed_unsync();
    let request = request(Method::PUT, server.url(), body);
    let response = buffered(&server, &source, 10).oneshot(request).await;
    assert_eq!(response.unwrap().status(), 200);
    server.verify();
}

#[tokio::test]
async fn r4_a_request_without_a_body_is_retried() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::get("/")
            .answer(ScriptedResponse::reset())
            .answer(ScriptedResponse::status(502))
            .answer(ScriptedResponse::status(200)),
    );
    let layer = builder(&server, &source).retry(at_once()).build().unwrap();
    let empty = request(Method::GET, server.url(), Empty::<Bytes>::new());
    let response = layer.layer(h1()).oneshot(empty).await.unwrap();
    assert_eq!(response.status(), 200);
    server.verify();
}

#[tokio::test]
async fn r4_a_post_whose_connection_broke_is_not_sent_again_and_r6_its_error_is_as_it_was() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::post("/").answer(ScriptedResponse::reset()));
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

/// Sends a POST over a service that fails twice, and says how often it was called.
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
async fn r4_a_refused_connection_is_tried_again_whatever_the_method() {
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
async fn r4_the_owner_of_a_service_says_what_its_errors_mean() {
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
async fn r1_a_token_in_another_field_goes_there() {
    let server = Server::start();
    let name = HeaderName::from_static("x-api-key");
    let source = ScriptedSource::new([Token::new("one").map(|token| token.header_name(name))]);
    let own = Expect::get("/").header("x-api-key", "one");
    server.expect(own.answer(ScriptedResponse::status(200)));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.received()[0].header("authorization"), None);
    server.verify();
}

/// What the layer says of a request that it must not send.
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
async fn r1_a_layer_is_bound_to_something() {
    let source = tokens(&[]);
    let unbound = AuthenticationLayer::builder(source.clone()).build();
    assert_eq!(unbound.unwrap_err().kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn r1_a_request_without_a_host_is_one_for_the_only_origin() {
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
async fn r5_retry_after_is_waited_for_and_r7_each_attempt_is_authorized_anew() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(
        Expect::post("/")
            .bearer("one")
            .answer(ScriptedResponse::too_many_requests("60")),
    );
    server.expect(
        Expect::post("/")
            .bearer("two")
            .answer(ScriptedResponse::status(200)),
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
async fn r6_without_a_token_for_another_attempt_the_answer_in_hand_is_the_last() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(Expect::get("/").answer(ScriptedResponse::too_many_requests("60").body("later")));
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
async fn r5_a_pause_beyond_the_total_time_gives_r6_the_answer_in_hand() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let answer = ScriptedResponse::too_many_requests("3600").body("later");
    server.expect(Expect::get("/").answer(answer));
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
async fn r6_the_last_error_of_the_service_is_as_it_was() {
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
async fn r8_an_attempt_without_an_answer_ends_after_its_limit() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(
        Expect::get("/")
            .answer(ScriptedResponse::hang())
            .answer(ScriptedResponse::status(200)),
    );
    server.expect(Expect::post("/").answer(ScriptedResponse::hang()));
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
    server.reached(1).await;
    clock.advance(limit);
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);

    let post = request(Method::POST, server.url(), Full::<Bytes>::default());
    let sent = tokio::spawn(layer.layer(h1()).oneshot(post));
    server.reached(3).await;
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
async fn r9_the_credential_takes_the_place_of_the_callers() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let own = Expect::get("/").bearer("one").header("user-agent", "mine");
    server.expect(own.answer(ScriptedResponse::status(200)));
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
            .answer(ScriptedResponse::status(200))
            .times(20),
    );
    let layer = AuthenticationLayer::new(server.url(), source.clone()).unwrap();
    let client = layer.layer(h1());
    let sent: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.clone().oneshot(get(server.url()))))
        .collect();
    source.next_call().await.answer(Token::new("one"));
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(source.calls(), 1);
    server.verify();
}

#[test]
fn s1_no_token_is_in_what_debug_shows() {
    let source = tokens(&["s3cret"]);
    let cache = TokenCache::new(source.clone());
    cache.authenticate_blocking().unwrap();
    let builder = AuthenticationLayer::builder(cache).origin("https://api.example");
    let shown = format!("{builder:?}");
    let layer = builder.build().unwrap();
    let shown = format!("{shown} {layer:?} {:?}", layer.layer("inner"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

/// Panics if it is called without having been made ready, as services with a limit do.
struct Strict {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl<B> Service<Request<B>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        let status = match self.calls.fetch_add(1, Ordering::Relaxed) {
            0 => StatusCode::BAD_GATEWAY,
            1 => StatusCode::UNAUTHORIZED,
            _ => StatusCode::OK,
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        Box::pin(ready(Ok(response)))
    }
}

#[tokio::test]
async fn the_service_is_called_only_when_it_is_ready() {
    let source = tokens(&["one", "two"]);
    let layer = AuthenticationLayer::builder(source.clone())
        .origin("https://api.example")
        .retry(at_once())
        .build()
        .unwrap();
    let strict = Strict {
        ready: false,
        calls: Arc::default(),
    };
    let response = layer
        .layer(strict)
        .oneshot(get("https://api.example/"))
        .await;
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_that_is_called() {
    let source = tokens(&["one"]);
    let layer = AuthenticationLayer::new("https://api.example", source.clone()).unwrap();
    layer.tokens().authenticate().await.unwrap();
    let service = Scripted::new(|_| Ok::<_, Infallible>(200));
    // Whoever is ready holds the only permit: another would wait for ever.
    let mut client = layer.layer(ConcurrencyLimit::new(service, 1));
    ServiceExt::<Request<Full<Bytes>>>::ready(&mut client)
        .await
        .unwrap();
    let sent = client.call(get("https://api.example/")).now_or_never();
    assert_eq!(sent.unwrap().unwrap().status(), 200);
}

mod grpc {
    use http::uri::PathAndQuery;
    use hyper::server::conn::http2;
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    use tokio::net::TcpListener;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::transport::Channel;
    use tonic::{Code, Status};

    use super::*;

    /// Messages that are bytes.
    #[derive(Clone, Copy, Default)]
    struct Raw;

    impl Codec for Raw {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            *self
        }

        fn decoder(&mut self) -> Self {
            *self
        }
    }

    impl Encoder for Raw {
        type Item = Bytes;
        type Error = Status;

        fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
            bytes::BufMut::put(target, item);
            Ok(())
        }
    }

    impl Decoder for Raw {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            let left = bytes::Buf::remaining(source);
            Ok(Some(bytes::Buf::copy_to_bytes(source, left)))
        }
    }

    /// What one call brought: its credential and its messages.
    type Calls = Arc<Mutex<Vec<(String, Vec<Bytes>)>>>;

    /// A server of the one method, which says what came, and accepts one token.
    async fn serve(accepted: &'static str, calls: Calls) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let calls = Arc::clone(&calls);
            async move {
                let handler = service_fn(move |call: tonic::Request<tonic::Streaming<Bytes>>| {
                    let calls = Arc::clone(&calls);
                    async move {
                        let credential = call.metadata().get("authorization").unwrap();
                        let credential = credential.to_str().unwrap().to_owned();
                        let messages = call.into_inner().map(Result::unwrap);
                        let messages: Vec<Bytes> = messages.collect().await;
                        let reply = messages.concat();
                        let allowed = credential == accepted;
                        calls.lock().unwrap().push((credential, messages));
                        if !allowed {
                            return Err(Status::unauthenticated("token expired"));
                        }
                        Ok(tonic::Response::new(Bytes::from(reply)))
                    }
                });
                let mut server = tonic::server::Grpc::new(Raw);
                Ok::<_, Infallible>(server.client_streaming(handler, request).await)
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(
                    http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        url
    }

    fn layer(
        url: &str,
        source: &ScriptedSource,
    ) -> AuthenticationLayer<ReplayBuffered<tonic::body::Body>> {
        AuthenticationLayer::builder(source.clone())
            .origin(url)
            .replay(ReplayBuffered::new(tonic::body::Body::new))
            .build()
            .unwrap()
    }

    fn channel(url: &str) -> Channel {
        Channel::from_shared(url.to_owned()).unwrap().connect_lazy()
    }

    const METHOD: PathAndQuery = PathAndQuery::from_static("/test.Test/Join");

    #[tokio::test]
    async fn r3_a_unary_call_is_healed_and_replayed_in_full() {
        let (calls, source) = (Calls::default(), tokens(&["one", "two"]));
        let url = serve("Bearer two", Arc::clone(&calls)).await;
        let mut client = tonic::client::Grpc::new(layer(&url, &source).layer(channel(&url)));
        client.ready().await.unwrap();
        let request = tonic::Request::new(Bytes::from_static(b"hello"));
        let answer = client.unary(request, METHOD, Raw).await.unwrap();
        assert_eq!(answer.into_inner(), "hello");
        let message = || vec![Bytes::from_static(b"hello")];
        assert_eq!(
            *calls.lock().unwrap(),
            [
                ("Bearer one".to_owned(), message()),
                ("Bearer two".to_owned(), message())
            ]
        );
    }

    #[tokio::test]
    async fn r3_a_stream_of_messages_is_sent_once() {
        let (calls, source) = (Calls::default(), tokens(&["one", "two"]));
        let url = serve("Bearer two", Arc::clone(&calls)).await;
        let layer = layer(&url, &source);
        let mut client = tonic::client::Grpc::new(layer.layer(channel(&url)));
        client.ready().await.unwrap();
        let (messages, stream) = mpsc::unbounded();
        messages.unbounded_send(Bytes::from_static(b"a")).unwrap();
        let request = tonic::Request::new(stream);
        let answer = client.client_streaming(request, METHOD, Raw);
        let rest = async {
            tokio::task::yield_now().await;
            messages.unbounded_send(Bytes::from_static(b"b")).unwrap();
            drop(messages);
        };
        let (answer, ()) = tokio::join!(answer, rest);
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(
            *calls.lock().unwrap(),
            [(
                "Bearer one".to_owned(),
                vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]
            )]
        );
        // What was rejected is replaced for the calls that follow.
        until_replaced(layer.tokens()).await;
    }

    #[tokio::test]
    async fn r2_a_missing_token_is_the_source_of_the_status() {
        let source = ScriptedSource::new([Err(Error::refused("the account is closed"))]);
        let url = "http://127.0.0.1:1";
        let mut client = tonic::client::Grpc::new(layer(url, &source).layer(channel(url)));
        client.ready().await.unwrap();
        let request = tonic::Request::new(Bytes::new());
        let status = client.unary(request, METHOD, Raw).await.unwrap_err();
        let cause = std::error::Error::source(&status).unwrap();
        let error = cause.downcast_ref::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

/// Counts its clones, and insists on being made ready before each call.
struct Counted {
    clones: Arc<AtomicUsize>,
    ready: bool,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            clones: Arc::clone(&self.clones),
            ready: false,
            statuses: Arc::clone(&self.statuses),
        }
    }
}

impl Service<Request<Full<Bytes>>> for Counted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready));
        let mut response = Response::new(Full::default());
        let status = self.statuses.lock().unwrap().pop().unwrap();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        ready(Ok(response))
    }
}

#[tokio::test]
async fn a_service_is_cloned_only_for_another_attempt_and_made_ready_for_each() {
    let clones = Arc::new(AtomicUsize::new(0));
    let service = Counted {
        clones: Arc::clone(&clones),
        ready: false,
        statuses: Arc::new(Mutex::new(vec![200, 503, 503, 200])),
    };
    let layer = AuthenticationLayer::builder(tokens(&["one"]))
        .origin("https://api.example")
        .retry(at_once())
        .build()
        .unwrap();
    let mut client = layer.layer(service);
    layer.tokens().authenticate().await.unwrap();
    let before = clones.load(Ordering::Relaxed);
    for cloned in [0, 1] {
        let answered = client
            .ready()
            .await
            .unwrap()
            .call(get("https://api.example/"));
        assert_eq!(answered.await.unwrap().status(), 200);
        assert_eq!(clones.load(Ordering::Relaxed) - before, cloned);
    }
}
