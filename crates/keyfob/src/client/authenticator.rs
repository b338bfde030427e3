//! Which credential goes on which request: the cache's, on those for its origins, instead of any other.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
#[cfg(feature = "oauth")]
use crate::client::dpop_setter::dpop_setter;
use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::exchange::exchange::{Exchange, Idempotency, Now, Replay};
#[cfg(not(feature = "oauth"))]
use crate::exchange::no_dpop::{DPOP, DpopProver, dpop_setter};
use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "oauth")]
use crate::oauth::dpop::{DPOP, DpopProver};
use crate::observe::events;
use crate::origin::origin::Origins;

/// A token cache, the origins that its credential may go to, and what proves that it is ours.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: TokenCache,
    origins: Arc<Origins>,
    prover: Option<DpopProver>,
}

/// What one attempt carries: a token and, where possession is proved, the proof for this attempt alone.
#[derive(Debug)]
#[must_use = "without it, the request is not authenticated"]
pub struct Credential<'a> {
    lease: &'a Lease,
    proof: Option<HeaderValue>,
}

impl Authenticator {
    /// Binds the cache's credential to these origins.
    #[must_use]
    pub fn new(tokens: TokenCache, origins: Origins) -> Self {
        Self::with_prover(tokens, origins, None)
    }

    /// The same with what a face was told about possession.
    pub(crate) fn with_prover(
        tokens: TokenCache,
        origins: Origins,
        prover: Option<DpopProver>,
    ) -> Self {
        Self {
            tokens,
            origins: Arc::new(origins),
            prover,
        }
    }

    dpop_setter!();

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

    /// A request that begins now, by [`Clock::elapsed`]; the policy's total time runs from here.
    pub fn exchange(
        &self,
        policy: Arc<RetryPolicy>,
        effect: Idempotency,
        body: Replay,
        now: Duration,
    ) -> Exchange {
        let exchange = Exchange::new(policy, effect, body, now);
        match self.prover {
            Some(_) => exchange.with_proofs(),
            None => exchange,
        }
    }

    /// A token that may be sent, waited for so long at most.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`], and [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if possession is to be proved and the
    /// token is not bound to a key (R2).
    pub async fn lease(&self, max_wait: Duration) -> Result<Lease, Error> {
        self.sendable(self.tokens.lease(Some(max_wait)).await)
    }

    /// The same, on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_blocking(&self, max_wait: Duration) -> Result<Lease, Error> {
        self.sendable(self.tokens.lease_blocking(Some(max_wait)))
    }

    fn sendable(&self, lease: Result<Lease, Error>) -> Result<Lease, Error> {
        if let (Some(prover), Ok(lease)) = (&self.prover, &lease) {
            prover.check(lease.token())?;
        }
        lease
    }

    /// What the next attempt carries (R7): for this method and this absolute URL, and for no other attempt.
    ///
    /// The URL is asked for only where a proof is made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if possession is to be proved and the token is not bound to a key
    /// (R2), and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the key cannot sign.
    #[inline]
    pub fn credential<'a, U: AsRef<str>>(
        &self,
        lease: &'a Lease,
        method: &Method,
        url: impl FnOnce() -> U,
    ) -> Result<Credential<'a>, Error> {
        events::token_used(|| lease.age(self.clock().elapsed()));
        let proof = match &self.prover {
            Some(prover) => {
                let now = self.clock().coarse_time().wall_time();
                Some(prover.prove(lease.token(), method, url().as_ref(), now)?)
            }
            None => None,
        };
        Ok(Credential { lease, proof })
    }

    /// Takes note of what an answer from this absolute URL says about later attempts: the nonce of their proofs.
    #[inline]
    pub fn record_nonce<U: AsRef<str>>(
        &self,
        url: impl FnOnce() -> U,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        if let Some(prover) = &self.prover {
            prover.record_nonce(url().as_ref(), status, headers);
        }
    }

    /// Another token for one that a server rejected; `None` if there is none to be had, which the log tells.
    pub async fn replace(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Duration,
    ) -> Option<Lease> {
        let tokens = &self.tokens;
        let replaced = tokens.replace(rejected, challenges, Some(max_wait)).await;
        told(self.sendable(replaced))
    }

    /// The same, on the calling thread.
    #[must_use]
    pub fn replace_blocking(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Duration,
    ) -> Option<Lease> {
        let tokens = &self.tokens;
        let replaced = tokens.replace_blocking(rejected, challenges, Some(max_wait));
        told(self.sendable(replaced))
    }

    /// Tells logs and metrics that a request will be sent again, and why.
    pub fn will_retry(&self, cause: &'static str, pause: Duration) {
        events::retried(cause, pause);
    }

    /// Tells logs that a request is not sent again because there is no token for it, so that its answer in hand is the
    /// last (R6).
    pub fn will_not_retry(&self, error: &Error) {
        events::retry_without_token(error);
    }

    /// The cache's clock, by which all of this counts.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &**self.tokens.clock()
    }

    /// What an exchange needs to know of this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let clock = self.clock();
        Now {
            elapsed: clock.elapsed(),
            wall: clock.coarse_time().wall_time(),
            jitter: fastrand::f64(),
        }
    }
}

impl Credential<'_> {
    /// Puts it on a request's head, in the place of any other (R9).
    pub fn apply(self, headers: &mut HeaderMap) {
        self.lease.apply(headers);
        if let Some(proof) = self.proof
            && headers.insert(DPOP, proof).is_some()
        {
            events::credential_overridden(&DPOP);
        }
    }
}

fn told(replaced: Result<Lease, Error>) -> Option<Lease> {
    match replaced {
        Ok(lease) => {
            events::replayed();
            Some(lease)
        }
        Err(error) => {
            events::replacement_failed(&error);
            None
        }
    }
}
