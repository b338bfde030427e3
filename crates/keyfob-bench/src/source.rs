//! The source of tokens for all contenders: it counts calls, can be slow, and can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyfob_testkit::{Expect, ScriptedResponse, Server};
use serde_json::json;

/// A source of tokens.
pub struct Source {
    delay: Duration,
    lifetime: Duration,
    failing: AtomicBool,
    calls: AtomicU64,
}

/// The source refuses to give a token.
#[derive(Debug)]
pub struct Refused;

impl Source {
    /// A source that takes this long for a token, and whose tokens live this long.
    pub fn new(delay: Duration, lifetime: Duration) -> Arc<Self> {
        Arc::new(Self {
            delay,
            lifetime,
            failing: AtomicBool::new(false),
            calls: AtomicU64::new(0),
        })
    }

    pub fn fail(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// How often the source was called.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns a token, for contenders that take a hook.
    pub async fn fetch(&self) -> Result<(String, Duration), Refused> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        match self.failing.load(Ordering::Relaxed) {
            true => Err(Refused),
            false => Ok((text(call), self.lifetime)),
        }
    }

    /// The same source as an OAuth token endpoint on loopback, for contenders that take no hook.
    pub fn endpoint(self: &Arc<Self>) -> Server {
        let source = Arc::clone(self);
        let server = Server::builder().request_limit(0).start();
        server.expect(Expect::any().respond_with(move |_| source.respond()));
        server
    }

    fn respond(&self) -> ScriptedResponse {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.failing.load(Ordering::Relaxed) {
            // A status that the contenders do not retry themselves.
            return ScriptedResponse::json(json!({"error": "invalid_request"}))
                .with_status(400)
                .after(self.delay);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = now.unwrap_or_default() + self.lifetime;
        ScriptedResponse::json(json!({
            "access_token": text(call),
            "token_type": "Bearer",
            "expires_in": self.lifetime.as_secs(),
            "expires_on": end.as_secs().to_string(),
        }))
        .after(self.delay)
    }
}

/// A numbered token of a usual size.
pub fn text(number: u64) -> String {
    format!("{number:t>454}")
}
