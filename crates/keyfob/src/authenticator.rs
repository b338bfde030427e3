//! Which credential goes on which request: the cache's, on those for its origins, instead of any other.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::cache::Lease;
use crate::cache::TokenCache;
use crate::challenge::Challenges;
use crate::clock::Clock;
use crate::error::Error;
use crate::exchange::Moment;
use crate::observe;
use crate::origin::Origins;

/// A token cache and the origins that its credential may go to.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    tokens: TokenCache,
    origins: Arc<Origins>,
}

impl Authenticator {
    pub(crate) fn new(tokens: TokenCache, origins: Origins) -> Self {
        Self {
            tokens,
            origins: Arc::new(origins),
        }
    }

    pub(crate) fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    /// R1, R2: which requests may be sent at all.
    pub(crate) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Puts the credential on a request's head, in the place of any other (R9).
    pub(crate) fn apply(&self, lease: &Lease, headers: &mut HeaderMap) {
        observe::token_used(|| lease.age(self.clock().elapsed()));
        lease.apply(headers);
    }

    /// Another token for one that a server rejected, to be told in the log where there is none.
    pub(crate) async fn replace(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        patience: Duration,
    ) -> Option<Lease> {
        told(
            self.tokens
                .replace(rejected, challenges, Some(patience))
                .await,
        )
    }

    pub(crate) fn replace_blocking(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        patience: Duration,
    ) -> Option<Lease> {
        told(
            self.tokens
                .replace_blocking(rejected, challenges, Some(patience)),
        )
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.tokens.clock()
    }

    pub(crate) fn now(&self) -> Moment {
        let clock = self.clock();
        Moment {
            elapsed: clock.elapsed(),
            wall: clock.glance().wall_time(),
            jitter: fastrand::f64(),
        }
    }
}

fn told(replaced: Result<Lease, Error>) -> Option<Lease> {
    match replaced {
        Ok(lease) => {
            observe::replayed();
            Some(lease)
        }
        Err(error) => {
            observe::rejection_stands(&error);
            None
        }
    }
}
