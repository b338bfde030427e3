//! The caches of a pool: a bounded map of those that it keeps, and an index of all that are in use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, UnitWeighter};

use crate::cache::cache::TokenCache;
use crate::cache::pooled::WeakTokenCache;
use crate::observe::pool;
use crate::pool::key::{HashOfKey, PoolKey};
use crate::runtime::lock::{Mutex, MutexGuard, lock};

/// The caches of a pool by key.
pub(super) struct Entries {
    /// The caches that the pool keeps, as many as it may. Its policy (S3-FIFO) keeps keys that are used often, so that a
    /// million keys that are each used once evict one another.
    kept: Cache<PoolKey, TokenCache, UnitWeighter, HashOfKey, CollectEvicted>,
    /// All caches that exist: also those that `kept` has evicted, and that a caller, a session or a renewal still holds.
    ///
    /// So a key never has two caches, and its token is fetched once (T1). A part's lock may be taken before one of `kept`, not
    /// after. No cache is dropped under either, because a source is code outside this crate.
    index: Box<[Mutex<Index>]>,
    evictions: AtomicU64,
    pinned: AtomicUsize,
    max_entries: usize,
}

type Index = HashMap<PoolKey, Indexed, HashOfKey>;

/// A cache in the index.
struct Indexed {
    cache: WeakTokenCache,
    /// The same cache, if it is never evicted.
    pinned: Option<TokenCache>,
}

/// Whether a cache may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    Allowed,
    /// Its source holds a refresh token that is nowhere else, and would be lost (T10).
    Never,
}

/// There are as many caches that are never evicted as the pool may hold.
pub(super) struct Full;

impl Entries {
    pub(super) fn new(max_entries: usize) -> Self {
        Self {
            kept: Cache::with(
                max_entries,
                max_entries as u64,
                UnitWeighter,
                HashOfKey::default(),
                CollectEvicted,
            ),
            index: (0..INDEX_PARTS).map(|_| Mutex::default()).collect(),
            evictions: AtomicU64::new(0),
            pinned: AtomicUsize::new(0),
            max_entries,
        }
    }

    /// Returns a cache that the pool keeps.
    #[inline]
    pub(super) fn kept(&self, key: &PoolKey) -> Option<TokenCache> {
        self.kept.get(key)
    }

    /// Returns a cache that was evicted and is still in use, and keeps it again.
    pub(super) fn in_use(&self, key: &PoolKey) -> Option<TokenCache> {
        let index = lock(self.part(key));
        let cache = index.get(key)?.cache.upgrade()?;
        self.keep(index, key, &cache);
        Some(cache)
    }

    /// Returns a cache without using it: neither the map's policy nor the idle time takes note.
    pub(super) fn peek(&self, key: &PoolKey) -> Option<TokenCache> {
        lock(self.part(key)).get(key)?.cache.upgrade()
    }

    /// Adds a cache, unless another caller has added one for this key meanwhile, which is returned then.
    pub(super) fn add(
        &self,
        key: &PoolKey,
        new: TokenCache,
        eviction: Eviction,
    ) -> Result<TokenCache, Full> {
        let pinned = (eviction == Eviction::Never).then(|| new.clone());
        let indexed = Indexed {
            cache: new.downgrade(),
            pinned,
        };
        let mut index = lock(self.part(key));
        if let Some(present) = index.get(key).and_then(|present| present.cache.upgrade()) {
            self.keep(index, key, &present);
            return Ok(present);
        }
        if eviction == Eviction::Never && !self.pin() {
            drop(index);
            return Err(Full);
        }
        // A cache that is gone, and whose source has not been dropped yet, counts as an entry already.
        let is_new = index.insert(key.clone(), indexed).is_none();
        self.keep(index, key, &new);
        if is_new {
            pool::created();
        }
        Ok(new)
    }

    /// Counts a cache that is never evicted, if there may be one more.
    fn pin(&self) -> bool {
        let is_allowed = self.pinned.fetch_add(1, Ordering::Relaxed) < self.max_entries;
        if !is_allowed {
            self.pinned.fetch_sub(1, Ordering::Relaxed);
        }
        is_allowed
    }

    /// Keeps a cache, and drops those that make room for it when the locks are free.
    fn keep(&self, index: MutexGuard<'_, Index>, key: &PoolKey, cache: &TokenCache) {
        let mut evicted = Vec::new();
        self.kept
            .insert_with_lifecycle(key.clone(), cache.clone(), &mut evicted);
        drop(index);
        // The map also hands back what was there under the same key.
        for _ in evicted.iter().filter(|(other, _)| other != key) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
            pool::evicted("capacity");
        }
    }

    /// Removes a key. The next caller for it gets a new cache.
    pub(super) fn remove(&self, key: &PoolKey) -> bool {
        let mut index = lock(self.part(key));
        let indexed = index.remove(key);
        // Under the lock of the index, so that no caller that has just found the cache there keeps it again.
        let kept = self.kept.remove(key);
        drop(index);
        let Some(indexed) = indexed else {
            return false;
        };
        if indexed.pinned.is_some() {
            self.pinned.fetch_sub(1, Ordering::Relaxed);
        }
        pool::gone();
        kept.is_some() || !indexed.cache.is_gone()
    }

    /// Gives up the caches that are idle.
    pub(super) fn evict_if(&self, is_idle: impl Fn(&TokenCache) -> bool) {
        let idle = self.kept.iter().filter(|(_, cache)| is_idle(cache));
        let idle: Vec<_> = idle.map(|(key, _)| key).collect();
        for key in idle {
            // One that was used again meanwhile stays.
            let evicted = self.kept.remove_if(&key, |cache| is_idle(cache));
            if evicted.is_some() {
                self.evictions.fetch_add(1, Ordering::Relaxed);
                pool::evicted("idle");
            }
        }
    }

    /// Removes a key from the index if its cache is gone.
    pub(super) fn forget_gone(&self, key: &PoolKey) {
        let mut index = lock(self.part(key));
        let is_gone = index
            .get(key)
            .is_some_and(|indexed| indexed.cache.is_gone());
        if is_gone {
            index.remove(key);
        }
        drop(index);
        if is_gone {
            pool::gone();
        }
    }

    /// How many caches exist.
    pub(super) fn len(&self) -> usize {
        self.index.iter().map(|part| lock(part).len()).sum()
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// The keys of all caches that exist.
    pub(super) fn keys(&self) -> Vec<PoolKey> {
        let keys = |part: &Mutex<Index>| lock(part).keys().cloned().collect::<Vec<_>>();
        self.index.iter().flat_map(keys).collect()
    }

    fn part(&self, key: &PoolKey) -> &Mutex<Index> {
        // Other bits than those by which a map chooses its place.
        &self.index[(key.hash() >> 24) as usize % self.index.len()]
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        pool::closed(self.len());
    }
}

/// Hands back what the map evicts, so that it is dropped when the map's lock is free.
#[derive(Clone)]
struct CollectEvicted;

impl Lifecycle<PoolKey, TokenCache> for CollectEvicted {
    type RequestState = Vec<(PoolKey, TokenCache)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: PoolKey, cache: TokenCache) {
        evicted.push((key, cache));
    }
}

/// The parts of the index, each with a lock of its own. Under the model checker there are few, so that keys share them.
const INDEX_PARTS: usize = if cfg!(shuttle) { 2 } else { 64 };
