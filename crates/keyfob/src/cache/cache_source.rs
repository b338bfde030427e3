//! A cache as the source of another token.

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::error::error::Error;
use crate::source::source::{Reason, TokenFuture, TokenRequest, TokenSource};
use crate::token::token::{Expiry, Token};

/// The token of a [`TokenCache`], as a source for another token. [`TokenCache::as_source`] makes it.
///
/// So each link of a chain has a cache of its own, and only the link that is due is renewed. A token that another server
/// refuses is renewed once, however many callers report it (T8).
#[derive(Clone, Debug)]
pub struct CacheSource(TokenCache);

impl TokenCache {
    /// This cache as the source of another token, such as the assertion of a client.
    ///
    /// ```
    /// use std::time::Duration;
    /// use keyfob::TokenCache;
    ///
    /// let inner = TokenCache::new(keyfob::hook_blocking(|_| {
    ///     Ok::<_, std::io::Error>(("assert10n", Duration::from_secs(300)))
    /// }));
    /// let outer = TokenCache::new(inner.as_source());
    /// assert_eq!(outer.get_valid_token_blocking()?.expose(), "assert10n");
    /// assert_eq!(inner.status().renewals, 1);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn as_source(&self) -> CacheSource {
        CacheSource(self.clone())
    }
}

impl CacheSource {
    async fn lease(&self, request: &TokenRequest) -> Result<Lease, Error> {
        let cache = &self.0;
        let current = cache.current();
        let reason = request.reason();
        match (request.previous(), current) {
            // Its successor, once it is there: the caller has this one already.
            (Some(previous), Some(current)) if current.token().same_text_as(previous) => {
                let challenges = request.challenges();
                match reason {
                    Reason::Forced => renewed(cache).await,
                    _ => cache.successor(&current, reason, challenges, None).await,
                }
            }
            // Another cache forces its renewal. If this one has a token, that is good enough; if not, its failure is forgotten too.
            (_, None) if reason == Reason::Forced => renewed(cache).await,
            _ => cache.lease(None).await,
        }
    }

    /// The token with the time at which this cache fetched it, because its lifetime does not begin now.
    fn dated(&self, lease: &Lease) -> Token {
        let clock = self.0.clock();
        let (now, wall) = (clock.elapsed(), clock.coarse_time().wall_time());
        let token = match wall.checked_sub(lease.age(now)) {
            Some(obtained) => lease.token().clone().obtained_at(obtained),
            None => lease.token().clone(),
        };
        match (token.expires(), lease.expires_at()) {
            // The default lifetime of this cache.
            (Expiry::Unknown, Some(end)) => token.expires_at(end),
            _ => token,
        }
    }
}

async fn renewed(cache: &TokenCache) -> Result<Lease, Error> {
    cache.renew().await?;
    cache.lease(None).await
}

impl TokenSource for CacheSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let lease = self.lease(request).await;
            // The cache remembers its failure. A caller that asks again costs nothing, and finds out when that has ended.
            let lease = lease.map_err(|error| match error.is_remembered() {
                true => error.without_call(),
                false => error.asked_again_later(),
            })?;
            Ok(self.dated(&lease))
        })
    }
}
