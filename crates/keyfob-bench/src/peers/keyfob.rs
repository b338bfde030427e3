//! This library.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use keyfob::TokenCache;

use crate::peers::Peer;
use crate::peers::said;
use crate::source::Source;

pub struct Keyfob {
    pub tokens: TokenCache,
}

impl Peer for Keyfob {
    const NAME: &'static str = "keyfob, async";
    const DUE: Duration = Duration::from_secs(24);
    const AGED: Duration = Duration::from_secs(18);

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
