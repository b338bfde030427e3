//! This library.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::Full;
use keyfob::TokenCache;
use keyfob::tower::AuthenticationLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::peers::{Due, Peer, RejectionAware, said};
use crate::service::Service;
use crate::source::Source;

pub struct Keyfob {
    pub tokens: TokenCache,
}

impl Peer for Keyfob {
    const NAME: &'static str = "keyfob, async";
    // A token is due after two thirds to three quarters of its lifetime, and in its leeway for the last tenth.
    const DUE: &'static [Due] = &[
        Due::new(Duration::from_secs(24), Duration::from_secs(18)),
        Due::new(Duration::from_secs(40), Duration::from_secs(36)).rule(", in its leeway"),
    ];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let hook = keyfob::hook(move |_| {
            let source = Arc::clone(&source);
            async move {
                let fetched = source.fetch().await;
                fetched.map_err(|_| std::io::Error::other("refused"))
            }
        });
        Ok(Self {
            tokens: TokenCache::new(hook),
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let lease = self.tokens.lease(None).await.map_err(said)?;
        Ok(lease.header().clone())
    }
}

impl RejectionAware for Keyfob {
    fn client(
        self: Arc<Self>,
        service: Arc<Service>,
    ) -> Result<impl Fn() -> BoxFuture<'static, bool>, String> {
        let layer = AuthenticationLayer::new(URL, self.tokens.clone()).map_err(said)?;
        let client = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
            let service = Arc::clone(&service);
            async move {
                let header = request.headers().get(AUTHORIZATION);
                Ok::<_, Infallible>(service.respond(header).await)
            }
        }));
        Ok(move || -> BoxFuture<'static, bool> {
            let request = Request::get(URL).body(Full::default()).expect("a request");
            let answer = client.clone().oneshot(request);
            Box::pin(async {
                answer
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            })
        })
    }
}

const URL: &str = "https://a.example/";
