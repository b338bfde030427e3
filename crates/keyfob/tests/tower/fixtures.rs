//! Clients, requests and services that the tests of the tower layer share.

use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyfob::error::BoxError;
use keyfob::tower::{AuthenticationLayer, AuthenticationLayerBuilder};
use keyfob::{RetryPolicy, Token, TokenCache};
use keyfob_testkit::{ScriptedSource, Server};
use tower::Service;

pub(crate) type Boxed = UnsyncBoxBody<Bytes, io::Error>;

pub(crate) fn full(text: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(text.as_bytes()))
}

pub(crate) fn tokens(texts: &[&str]) -> ScriptedSource {
    ScriptedSource::new(texts.iter().map(|text| Token::new(*text)))
}

pub(crate) fn h1<B>() -> legacy::Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn h2<B>() -> legacy::Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

pub(crate) fn request<B>(method: Method, url: impl AsRef<str>, body: B) -> Request<B> {
    Request::builder()
        .method(method)
        .uri(url.as_ref())
        .body(body)
        .unwrap()
}

pub(crate) fn get(url: impl AsRef<str>) -> Request<Full<Bytes>> {
    request(Method::GET, url, Full::default())
}

/// Waits for the end of the renewal after a rejection. Until then, requests may get the old token.
pub(crate) async fn until_replaced(tokens: &TokenCache) {
    let replaced = |lease: keyfob::cache::Lease| lease.token().expose() == "two";
    while !tokens.ready().is_some_and(replaced) {
        tokio::task::yield_now().await;
    }
}

/// A policy that retries at once, unless the server asks for a pause.
pub(crate) fn at_once() -> RetryPolicy {
    RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO)
}

pub(crate) fn builder(server: &Server, source: &ScriptedSource) -> AuthenticationLayerBuilder {
    AuthenticationLayer::builder(source.clone()).origin(server.url())
}

/// A service without a network, which records the credential of each request and responds as scripted.
#[derive(Clone)]
pub(crate) struct Scripted<A> {
    seen: Arc<Mutex<Vec<String>>>,
    response: A,
}

impl<A> Scripted<A> {
    pub(crate) fn new(response: A) -> Self {
        Self {
            seen: Arc::default(),
            response,
        }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
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
        ready((self.response)(calls).map(|status| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        }))
    }
}
