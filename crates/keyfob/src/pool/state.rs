//! What all clones of a pool share, and the source of each of its caches.

use std::future::ready;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cache::cache::TokenCache;
use crate::cache::pooled::CacheTemplate;
use crate::error::error::Error;
use crate::observe::event_limit::EventLimit;
use crate::observe::pool;
use crate::pool::entries::{Entries, Eviction, Full};
use crate::pool::key::PoolKey;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Makes the source of a key.
pub(super) type MakeSource =
    Box<dyn Fn(&PoolKey) -> Result<Arc<dyn TokenSource>, Error> + Send + Sync>;

/// What all clones of a pool share.
pub(super) struct PoolState {
    pub(super) entries: Entries,
    /// How the caches are made.
    pub(super) template: CacheTemplate,
    pub(super) make_source: Arc<MakeSource>,
    pub(super) limits: Limits,
    pub(super) created: AtomicU64,
    /// The number of times that idle caches were evicted. A cache notes it when it is used.
    period: AtomicU32,
    /// When idle caches are evicted next, in nanoseconds on [`Clock::elapsed`](crate::clock::Clock::elapsed).
    next_period: AtomicU64,
    refused: EventLimit,
}

/// How many keys a pool keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_entries: usize,
    pub(super) idle_timeout: Duration,
}

impl PoolState {
    pub(super) fn new(
        make_source: Arc<MakeSource>,
        template: CacheTemplate,
        limits: Limits,
    ) -> Self {
        let first_period = template.clock.elapsed().saturating_add(limits.period());
        Self {
            entries: Entries::new(limits.max_entries),
            created: AtomicU64::new(0),
            period: AtomicU32::new(0),
            next_period: AtomicU64::new(nanoseconds(first_period)),
            refused: EventLimit::default(),
            template,
            make_source,
            limits,
        }
    }

    /// Returns the cache of a key, and makes it if there is none.
    #[inline]
    pub(super) fn cache(self: &Arc<Self>, key: &PoolKey) -> Result<TokenCache, Error> {
        if let Some(cache) = self.entries.kept(key) {
            pool::looked_up("hit");
            cache.mark_used(self.period.load(Ordering::Relaxed));
            return Ok(cache);
        }
        self.not_kept(key)
    }

    #[cold]
    fn not_kept(self: &Arc<Self>, key: &PoolKey) -> Result<TokenCache, Error> {
        self.evict_idle_if_due();
        let in_use = self.entries.in_use(key);
        pool::looked_up(if in_use.is_some() { "hit" } else { "miss" });
        let cache = match in_use {
            Some(cache) => cache,
            None => self.make(key)?,
        };
        cache.mark_used(self.period.load(Ordering::Relaxed));
        Ok(cache)
    }

    /// Returns a cache without a token, for clients whose requests each name a key.
    pub(super) fn without_key(&self) -> TokenCache {
        self.template.cache_without_queue(Arc::new(WithoutKey))
    }

    fn make(self: &Arc<Self>, key: &PoolKey) -> Result<TokenCache, Error> {
        // Code outside this crate, so no lock is held.
        let source = (self.make_source)(key)?;
        let eviction = match source.consumes_refresh_token() {
            true => Eviction::Never,
            false => Eviction::Allowed,
        };
        let source = PooledSource {
            source,
            key: key.clone(),
            pool: Arc::downgrade(self),
        };
        let cache = self.template.cache(Arc::new(source));
        // An idle key is counted from now on.
        cache.mark_used(self.period.load(Ordering::Relaxed));
        match self.entries.add(key, cache, eviction) {
            Ok(cache) => {
                self.created.fetch_add(1, Ordering::Relaxed);
                Ok(cache)
            }
            Err(Full) => Err(self.full()),
        }
    }

    /// Evicts the caches that were not used for the idle time, if it is time to look.
    fn evict_idle_if_due(&self) {
        let now = self.template.clock.elapsed();
        let due = self.next_period.load(Ordering::Relaxed);
        if nanoseconds(now) < due {
            return;
        }
        let next = nanoseconds(now.saturating_add(self.limits.period()));
        let begun =
            self.next_period
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_err() {
            // Another thread does it.
            return;
        }
        let current = self.period.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // One period more than the idle time has, because a cache may have been used at the end of its period.
        self.entries
            .evict_if(|cache| current.wrapping_sub(cache.last_used()) > PERIODS);
    }

    fn full(&self) -> Error {
        let limit = self.limits.max_entries;
        pool::full(limit, self.refused.admit(self.template.clock.elapsed()));
        Error::unavailable(format!(
            "the pool holds {limit} refresh tokens that no store keeps, as many as it may; \
             keep them in a store, remove keys that are not needed, or raise `max_entries`"
        ))
    }
}

impl Limits {
    /// How often idle caches are evicted.
    pub(super) fn period(&self) -> Duration {
        self.idle_timeout / PERIODS
    }
}

/// The idle time is measured in so many periods, so that a read costs no clock.
const PERIODS: u32 = 4;

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The source of a pool's own cache, for requests that name no key.
struct WithoutKey;

impl TokenSource for WithoutKey {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(ready(Err(no_key())))
    }
}

/// A request of a client over a pool does not say whose token it needs (R2).
pub(crate) fn no_key() -> Error {
    Error::input(
        "the request does not name the key of its token in the pool; \
         insert a `PoolKey` into its extensions, or give it the tokens of a key",
    )
}

/// The source of one key's cache. When it is dropped, the cache is gone.
struct PooledSource {
    source: Arc<dyn TokenSource>,
    key: PoolKey,
    pool: Weak<PoolState>,
}

impl TokenSource for PooledSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        // Here and not at each read, because a program that uses tokens also renews them.
        if let Some(pool) = self.pool.upgrade() {
            pool.evict_idle_if_due();
        }
        self.source.fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}

impl Drop for PooledSource {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.entries.forget_gone(&self.key);
        }
    }
}
