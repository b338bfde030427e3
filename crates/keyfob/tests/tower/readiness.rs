//! The contract of `tower`: a service is called only after it is ready.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use keyfob::tower::AuthenticationLayer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::fixtures::{Scripted, at_once, get, tokens};

/// Panics if it is called before it is ready, like services with a limit.
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
async fn the_service_that_was_made_ready_is_called() {
    let source = tokens(&["one"]);
    let layer = AuthenticationLayer::new("https://api.example", source.clone()).unwrap();
    layer.tokens().authenticate().await.unwrap();
    let service = Scripted::new(|_| Ok::<_, Infallible>(200));
    // The ready service holds the only permit. Another service would wait forever.
    let mut client = layer.layer(ConcurrencyLimit::new(service, 1));
    ServiceExt::<Request<Full<Bytes>>>::ready(&mut client)
        .await
        .unwrap();
    let sent = client.call(get("https://api.example/")).now_or_never();
    assert_eq!(sent.unwrap().unwrap().status(), 200);
}

/// Counts its clones, and panics if it is called before it is ready.
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
async fn a_service_is_cloned_only_for_a_retry_and_made_ready_for_each_attempt() {
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
        let responded = client
            .ready()
            .await
            .unwrap()
            .call(get("https://api.example/"));
        assert_eq!(responded.await.unwrap().status(), 200);
        assert_eq!(clones.load(Ordering::Relaxed) - before, cloned);
    }
}
