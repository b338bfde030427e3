//! The settings of a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::builder::TokenCacheBuilder;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::pool::key::PoolKey;
use crate::pool::state::{Limits, MakeSource};
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::runtime::task_queue;
use crate::source::source::TokenSource;

/// Makes a [`TokenPool`](crate::TokenPool) with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::TokenPool;
///
/// # let source = |_: &keyfob::pool::PoolKey| Ok(keyfob::EnvToken::new("API_TOKEN"));
/// let pool = TokenPool::builder(source)
///     .max_entries(200_000)
///     .idle_timeout(Duration::from_secs(15 * 60))
///     .fetches_at_once(50)
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct TokenPoolBuilder {
    pub(super) make_source: MakeSource,
    pub(super) limits: Limits,
    pub(super) queue: task_queue::Limits,
    pub(super) fetch_timeout: Duration,
    pub(super) default_lifetime: Option<Duration>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Arc<dyn Runtime>,
}

impl TokenPoolBuilder {
    /// The default of [`max_entries`](Self::max_entries).
    pub const MAX_ENTRIES: usize = 10_000;
    /// The default of [`idle_timeout`](Self::idle_timeout).
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
    /// The default of [`fetches_at_once`](Self::fetches_at_once).
    pub const FETCHES_AT_ONCE: usize = 32;
    /// The default of [`max_queued`](Self::max_queued).
    pub const MAX_QUEUED: usize = 100_000;

    pub(super) fn new<S: TokenSource>(
        source: impl Fn(&PoolKey) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Self {
        let make_source = move |key: &PoolKey| {
            let source: Arc<dyn TokenSource> = Arc::new(source(key)?);
            Ok(source)
        };
        Self {
            make_source: Box::new(make_source),
            limits: Limits {
                max_entries: Self::MAX_ENTRIES,
                idle_timeout: Self::IDLE_TIMEOUT,
            },
            queue: task_queue::Limits {
                running: Self::FETCHES_AT_ONCE,
                waiting: Self::MAX_QUEUED,
            },
            fetch_timeout: TokenCacheBuilder::FETCH_TIMEOUT,
            default_lifetime: None,
            clock: Arc::new(SystemClock),
            runtime: Arc::new(TokioOrThreads),
        }
    }

    /// Sets how many keys the pool keeps. The default is [`MAX_ENTRIES`](Self::MAX_ENTRIES).
    ///
    /// A key needs about 1 KiB of memory in addition to its token and its source. Give some more than you expect, because the
    /// keys are divided among parts that may not fill equally.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.limits.max_entries = entries;
        self
    }

    /// Sets how long a key is kept that is not used. The default is [`IDLE_TIMEOUT`](Self::IDLE_TIMEOUT).
    ///
    /// Idle keys are looked for at a new key and at a renewal, at most four times in this time. A key goes at the fifth look
    /// after its last use: after at most one and a half times as long in a busy pool, later where few keys are new or renewed.
    /// Zero is an error.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Sets how many fetches run at once. The default is [`FETCHES_AT_ONCE`](Self::FETCHES_AT_ONCE).
    ///
    /// A source must not wait for another key of the same pool: if all fetches did so, none could begin.
    pub fn fetches_at_once(mut self, fetches: usize) -> Self {
        self.queue.running = fetches;
        self
    }

    /// Sets how many fetches may wait. The default is [`MAX_QUEUED`](Self::MAX_QUEUED).
    ///
    /// If there are more, callers without a valid token get [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) at once.
    pub fn max_queued(mut self, fetches: usize) -> Self {
        self.queue.waiting = fetches;
        self
    }

    /// Sets how long one call to a source may take, without the wait for other fetches.
    ///
    /// The default is [`TokenCacheBuilder::FETCH_TIMEOUT`].
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.fetch_timeout = timeout;
        self
    }

    /// Sets how long a token without an expiry is used. Unless set, it is used until a server rejects it (T5).
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = Some(lifetime);
        self
    }

    /// Uses another clock, such as one that a test controls.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Runs fetches on another runtime than [`TokioOrThreads`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }
}

impl fmt::Debug for TokenPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPoolBuilder")
            .field("limits", &self.limits)
            .field("queue", &self.queue)
            .field("fetch_timeout", &self.fetch_timeout)
            .finish_non_exhaustive()
    }
}
