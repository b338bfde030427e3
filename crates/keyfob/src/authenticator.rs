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
pub struct Authenticator {
    tokens: TokenCache,
    origins: Arc<Origins>,
}

impl Authenticator {
    /// Binds the cache's credential to these origins.
    #[must_use]
    pub fn new(tokens: TokenCache, origins: Origins) -> Self {
        Self {
            tokens,
            origins: Arc::new(origins),
        }
    }

    /// The cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    /// Which requests may be sent at all (R1, R2).
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Puts the credential on a request's head, in the place of any other (R9).
    pub fn apply(&self, lease: &Lease, headers: &mut HeaderMap) {
        observe::token_used(|| lease.age(self.clock().elapsed()));
        lease.apply(headers);
    }

    /// Another token for one that a server rejected; `None` if there is none to be had, which the log tells.
    pub async fn replace(
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

    /// The same, on the calling thread.
    #[must_use]
    pub fn replace_blocking(
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

    /// Tells logs and metrics that a request will be sent again, and why.
    pub fn will_retry(&self, cause: &'static str, pause: Duration) {
        observe::retried(cause, pause);
    }

    /// Tells logs that a request is not sent again because there is no token for it, so that its answer in hand is the
    /// last (R6).
    pub fn will_not_retry(&self, error: &Error) {
        observe::retry_given_up(error);
    }

    /// The cache's clock, by which all of this counts.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &**self.tokens.clock()
    }

    /// What an exchange needs to know of this moment.
    #[must_use]
    pub fn now(&self) -> Moment {
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
