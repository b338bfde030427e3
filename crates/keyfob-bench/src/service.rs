//! A service that rejects a revoked token: all requests are in flight before the first of them gets its 401.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Barrier;
use tokio::time::sleep;

/// The service, which accepts every token except one.
#[derive(Debug)]
pub struct Service {
    revoked: HeaderValue,
    requests: u32,
    /// The time from the first 401 to the last.
    spread: Duration,
    refused: AtomicU32,
    all_sent: Barrier,
}

impl Service {
    /// A service that waits for this many requests with this header. It spreads their 401s over this time.
    pub fn refusing(revoked: HeaderValue, requests: u32, spread: Duration) -> Self {
        Self {
            revoked,
            requests,
            spread,
            refused: AtomicU32::new(0),
            all_sent: Barrier::new(requests as usize),
        }
    }

    /// The response to a request with this `Authorization`.
    pub async fn respond(&self, authorization: Option<&HeaderValue>) -> Response<Full<Bytes>> {
        let mut answer = Response::new(Full::default());
        if authorization != Some(&self.revoked) {
            return answer;
        }
        let place = self.refused.fetch_add(1, Ordering::Relaxed);
        if place < self.requests {
            self.all_sent.wait().await;
            sleep(self.spread * place / self.requests).await;
        }
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_401_comes_before_all_requests_are_sent() {
        let revoked = HeaderValue::from_static("Bearer old");
        let service = Service::refusing(revoked.clone(), 2, Duration::ZERO);
        let alone = service.respond(Some(&revoked));
        let alone = tokio::time::timeout(Duration::from_millis(20), alone);
        assert!(alone.await.is_err());
    }

    #[tokio::test]
    async fn only_the_revoked_token_is_refused() {
        let revoked = HeaderValue::from_static("Bearer old");
        let service = Service::refusing(revoked.clone(), 1, Duration::ZERO);
        let fresh = HeaderValue::from_static("Bearer new");
        assert_eq!(service.respond(Some(&fresh)).await.status(), StatusCode::OK);
        let refused = service.respond(Some(&revoked)).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
}
