//! A token for each of many users.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::cache::pooled::CacheTemplate;
use crate::cache::status::Status;
use crate::error::error::Error;
use crate::pool::builder::TokenPoolBuilder;
use crate::pool::key::PoolKey;
use crate::pool::state::PoolState;
use crate::runtime::task_queue::TaskQueue;
use crate::source::source::TokenSource;

/// Keeps a token for each of many users, tenants or services, in bounded memory.
///
/// For each [`PoolKey`] there is a [`TokenCache`], made when the key is first used. So the token of a key is fetched once for
/// all callers (T1), a failure of one key is remembered for that key alone (T2), and a token is renewed before it expires (T3).
///
/// * **Memory.** The pool keeps at most [`max_entries`](TokenPoolBuilder::max_entries) keys, and those for about
///   [`idle_timeout`](TokenPoolBuilder::idle_timeout) after their last use, longer where few keys are new or renewed. Keys that are used often stay when many others come.
///   The cache of an evicted key lives on while a caller, a session or a renewal uses it, and the next caller for the key gets
///   that one. If a source holds a [refresh token](TokenSource::consumes_refresh_token) that no store keeps, its key is never
///   evicted; if there are too many of these, new keys are refused.
/// * **Fetches.** At most [`fetches_at_once`](TokenPoolBuilder::fetches_at_once) run at the same time, for all keys together.
///   The others wait, first come, first served, renewals in the background included. A key whose fetch is slow delays the others
///   only by its place. The wait counts to a caller's `max_wait`, and not to the fetch timeout.
///
/// ```
/// use std::time::Duration;
/// use keyfob::TokenPool;
/// use keyfob::pool::PoolKey;
///
/// # fn ask_the_vault(user: &str) -> Result<String, std::io::Error> { Ok(format!("t0ken-of-{user}")) }
/// let pool = TokenPool::new(|key: &PoolKey| {
///     let user = key.subject().to_owned();
///     Ok(keyfob::hook_blocking(move |_| {
///         Ok::<_, std::io::Error>((ask_the_vault(&user)?, Duration::from_secs(300)))
///     }))
/// });
/// let alice = PoolKey::new("alice")?;
/// let lease = pool.lease_blocking(&alice, Some(Duration::from_secs(10)))?;
/// assert_eq!(lease.token().expose(), "t0ken-of-alice");
/// assert_eq!(pool.status().entries, 1);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenPool {
    state: Arc<PoolState>,
}

/// The state of a [`TokenPool`], without any key or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The keys that have a cache now, evicted ones that are still in use included.
    pub entries: usize,
    /// How many caches were made.
    pub created: u64,
    /// How many keys were evicted, because there were too many or they were idle.
    pub evicted: u64,
    /// The fetches that run now.
    pub fetching: usize,
    /// The fetches that wait for others to end.
    pub queued: usize,
}

impl TokenPool {
    /// Makes a pool with the default settings, whose sources this function makes.
    ///
    /// For what the function must do, see [`builder`](Self::builder).
    pub fn new<S: TokenSource>(
        source: impl Fn(&PoolKey) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Self {
        TokenPoolBuilder::new(source).finish()
    }

    /// Starts a pool with settings of your own, whose sources this function makes.
    ///
    /// The function is called when a key is first used, or used again after it was evicted, and sometimes twice for one key. It
    /// only makes the source, and fetches nothing. Its errors go to the caller and are not remembered.
    pub fn builder<S: TokenSource>(
        source: impl Fn(&PoolKey) -> Result<S, Error> + Send + Sync + 'static,
    ) -> TokenPoolBuilder {
        TokenPoolBuilder::new(source)
    }

    /// Returns the cache of a key, and makes it if there is none. Nothing is fetched.
    ///
    /// Use it for everything that a [`TokenCache`] can do, and to make a session for the key. A cache that a session keeps stays
    /// in use, and a pool that has evicted its key finds it again.
    ///
    /// # Errors
    ///
    /// The error of the function that makes sources, and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the pool
    /// is full of keys that must not be evicted.
    #[inline]
    pub fn tokens(&self, key: &PoolKey) -> Result<TokenCache, Error> {
        self.state.cache(key)
    }

    /// Returns a cache that has no token, for a client whose requests each name a key.
    ///
    /// A request that names none gets its error, and is not sent (R2). With a session, a request names the cache of its key:
    ///
    /// ```no_run
    /// # #[cfg(feature = "session")]
    /// # async fn example(pool: keyfob::TokenPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use keyfob::Session;
    /// use keyfob::pool::PoolKey;
    ///
    /// let session = Session::new("https://api.example.com", pool.without_key())?;
    /// let alice = pool.tokens(&PoolKey::new("alice")?)?;
    /// let orders = session.get("/orders").tokens(alice).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn without_key(&self) -> TokenCache {
        self.state.without_key()
    }

    /// Returns the token of a key for a request. Waits for a fetch if the token is missing or about to expire.
    ///
    /// `max_wait` limits the wait of this caller only, including the wait for other keys' fetches; the fetch continues
    /// without it.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens) and [`TokenCache::lease`].
    #[inline]
    pub async fn lease(&self, key: &PoolKey, max_wait: Option<Duration>) -> Result<Lease, Error> {
        self.tokens(key)?.lease(max_wait).await
    }

    /// As [`lease`](Self::lease), but blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    #[inline]
    pub fn lease_blocking(
        &self,
        key: &PoolKey,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        self.tokens(key)?.lease_blocking(max_wait)
    }

    /// Forgets a key with its tokens, as when a user signs out. Returns whether it had a cache.
    ///
    /// A session that has the cache keeps it. A token in a store stays there.
    pub fn remove(&self, key: &PoolKey) -> bool {
        self.state.entries.remove(key)
    }

    /// Returns the state of the pool, without any key or secret.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let state = &self.state;
        let load = state.template.queue.load();
        PoolStatus {
            entries: state.entries.len(),
            created: state.created.load(Ordering::Relaxed),
            evicted: state.entries.evictions(),
            fetching: load.running,
            queued: load.waiting,
        }
    }

    /// Returns the state of a key's cache, without any secret. `None` if it has no cache.
    #[must_use]
    pub fn status_of(&self, key: &PoolKey) -> Option<Status> {
        Some(self.state.entries.peek(key)?.status())
    }

    /// Returns the keys that have a cache now, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<PoolKey> {
        self.state.entries.keys()
    }

    /// Returns an empty pool with the same settings, for the child of a `fork`.
    ///
    /// The tokens stay with the parent, because a lock that another thread held during the fork stays locked in the child.
    #[must_use]
    pub fn forked(&self) -> Self {
        let state = &self.state;
        let make_source = Arc::clone(&state.make_source);
        let forked = PoolState::new(make_source, state.template.forked(), state.limits);
        Self {
            state: Arc::new(forked),
        }
    }
}

impl TokenPoolBuilder {
    /// Makes the pool.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a limit is zero.
    pub fn build(self) -> Result<TokenPool, Error> {
        for (name, limit) in [
            ("max_entries", self.limits.max_entries),
            ("fetches_at_once", self.queue.running),
        ] {
            if limit == 0 {
                return Err(Error::input(format!(
                    "`{name}` of the pool is 0, so that it could keep or fetch no token; set at least 1"
                )));
            }
        }
        if self.limits.period().is_zero() {
            return Err(Error::input(
                "`idle_timeout` of the pool is 0, so that it could keep no token; set a longer time",
            ));
        }
        Ok(self.finish())
    }

    /// Makes a pool with limits that are not zero.
    fn finish(self) -> TokenPool {
        let times = (self.fetch_timeout, self.default_lifetime);
        let queue = TaskQueue::new(self.queue);
        let template = CacheTemplate::new(times, self.clock, self.runtime, queue);
        let make_source = Arc::new(self.make_source);
        TokenPool {
            state: Arc::new(PoolState::new(make_source, template, self.limits)),
        }
    }
}

impl fmt::Debug for TokenPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPool")
            .field("status", &self.status())
            .finish()
    }
}
