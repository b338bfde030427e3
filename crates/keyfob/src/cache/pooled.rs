//! The caches of a pool: what they share, and a handle that keeps none of them alive.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cache::builder::Settings;
use crate::cache::cache::TokenCache;
use crate::cache::current::{Copies, CurrentToken};
use crate::cache::locked_state::LockedState;
use crate::cache::shared_state::SharedState;
use crate::clock::clock::Clock;
use crate::runtime::lock::Mutex;
use crate::runtime::runtime::Runtime;
use crate::runtime::task_queue::TaskQueue;
use crate::source::source::TokenSource;

/// What all caches of a pool share.
pub(crate) struct CacheTemplate {
    settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) queue: TaskQueue,
}

impl CacheTemplate {
    pub(crate) fn new(
        (fetch_timeout, default_lifetime): (Duration, Option<Duration>),
        clock: Arc<dyn Clock>,
        runtime: Arc<dyn Runtime>,
        queue: TaskQueue,
    ) -> Self {
        Self {
            settings: Arc::new(Settings::new(fetch_timeout, default_lifetime)),
            clock,
            runtime,
            queue,
        }
    }

    /// Makes a cache for this source. Nothing is fetched yet.
    pub(crate) fn cache(&self, source: Arc<dyn TokenSource>) -> TokenCache {
        self.cache_with(source, Some(self.queue.clone()))
    }

    /// Makes a cache for a source that responds at once, and so needs no place in the queue.
    pub(crate) fn cache_without_queue(&self, source: Arc<dyn TokenSource>) -> TokenCache {
        self.cache_with(source, None)
    }

    fn cache_with(&self, source: Arc<dyn TokenSource>, queue: Option<TaskQueue>) -> TokenCache {
        TokenCache {
            shared: Arc::new(SharedState {
                current: CurrentToken::none(Arc::clone(&self.clock), Copies::One),
                used: AtomicU32::new(0),
                locked: Mutex::new(LockedState::default()),
                delayed: AtomicU64::new(0),
                settings: Arc::clone(&self.settings),
                source,
                runtime: Arc::clone(&self.runtime),
                queue,
            }),
        }
    }

    /// The same settings for the child of a `fork`, with a queue of its own.
    pub(crate) fn forked(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            clock: Arc::clone(&self.clock),
            runtime: Arc::clone(&self.runtime),
            queue: TaskQueue::new(self.queue.limits()),
        }
    }
}

/// A cache that its handles and its running renewal keep alive, and this does not.
pub(crate) struct WeakTokenCache(Weak<SharedState>);

impl WeakTokenCache {
    pub(crate) fn upgrade(&self) -> Option<TokenCache> {
        let shared = self.0.upgrade()?;
        Some(TokenCache { shared })
    }

    /// Whether the cache is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl TokenCache {
    pub(crate) fn downgrade(&self) -> WeakTokenCache {
        WeakTokenCache(Arc::downgrade(&self.shared))
    }

    /// Notes that the cache was used in this period of its pool.
    #[inline]
    pub(crate) fn mark_used(&self, period: u32) {
        let used = &self.shared.used;
        // Read first, so that threads that use one cache at once do not write to the same memory.
        if used.load(Ordering::Relaxed) != period {
            used.store(period, Ordering::Relaxed);
        }
    }

    /// The period of its pool in which the cache was last used.
    pub(crate) fn last_used(&self) -> u32 {
        self.shared.used.load(Ordering::Relaxed)
    }
}
