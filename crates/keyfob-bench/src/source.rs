//! Where the tokens of all contenders come from: counted, slow, and failing when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyfob_testkit::{ScriptedResponse, Expect, Server};
use serde_json::json;

/// A source of tokens.
pub struct Source {
    delay: Duration,
    lifetime: Duration,
    failing: AtomicBool,
    calls: AtomicU64,
}

/// The source refuses.
#[derive(Debug)]
pub struct Refused;

impl Source {
    /// One that takes so long to give tokens that live so long.
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

    /// How often it was asked.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// A token, for those who take a hook.
    pub async fn fetch(&self) -> Result<(String, Duration), Refused> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        match self.failing.load(Ordering::Relaxed) {
            true => Err(Refused),
            false => Ok((text(call), self.lifetime)),
        }
    }

    /// The same as an OAuth token endpoint on loopback, for those who take none.
    pub fn endpoint(self: &Arc<Self>) -> Server {
        let source = Arc::clone(self);
        let server = Server::builder().request_limit(0).start();
        server.expect(Expect::any().respond_with(move |_| source.respond()));
        server
    }

    fn respond(&self) -> ScriptedResponse {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.failing.load(Ordering::Relaxed) {
            // Not one that the peers would repeat by themselves.
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

/// A token of a usual size; each has its number.
pub fn text(number: u64) -> String {
    format!("{number:t>454}")
}
