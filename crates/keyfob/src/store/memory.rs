//! A store in the memory of this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::runtime::lock::{Mutex, lock};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::store::{
    EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore, summarize,
};

/// A store in the memory of this process. Clones share the entries.
///
/// ```
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{MemoryStore, StoreKey};
///
/// let store = MemoryStore::default();
/// let key = StoreKey::builder("https://issuer.example.com").build();
/// // These caches are independent, but the source is asked once for both:
/// let one = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store.clone(), key.clone()));
/// let other = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<HashMap<StoreKey, Slot>>>);

#[derive(Clone, Debug, Default)]
struct Slot {
    entry: Arc<Mutex<Option<Entry>>>,
    /// Apart from the entry, because reading needs no lease.
    lease: Arc<AsyncMutex<()>>,
}

impl MemoryStore {
    fn slot(&self, key: &StoreKey) -> Slot {
        // A slot stays when its entry is removed, because another caller may hold or await its lease.
        lock(&self.0).entry(key.clone()).or_default().clone()
    }
}

impl TokenStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        Box::pin(async move { Ok(self.slot(key).stored()) })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        Box::pin(async move {
            let slot = self.slot(key);
            let guard = Arc::clone(&slot.lease).lock_owned();
            let guard = clock::within(&SystemClock, max_wait, guard).await;
            let guard = guard.ok_or_else(StoreError::lease_is_held)?;
            let lease: Box<dyn StoreLease> = Box::new(MemoryLease {
                slot,
                _guard: guard,
            });
            Ok(lease)
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        let slots = lock(&self.0).clone();
        let found = slots.into_iter().map(|(key, slot)| {
            let entry = lock(&slot.entry).clone();
            (key.id().to_owned(), Ok(entry.map(|entry| (key, entry))))
        });
        let summaries = summarize(found);
        Box::pin(async move { Ok(summaries) })
    }
}

impl Slot {
    fn stored(&self) -> Option<StoredEntry> {
        let entry = lock(&self.entry).clone()?;
        Some(StoredEntry { entry, age: None })
    }
}

struct MemoryLease {
    slot: Slot,
    _guard: OwnedMutexGuard<()>,
}

impl StoreLease for MemoryLease {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        Box::pin(async move { Ok(self.slot.stored()) })
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            *lock(&self.slot.entry) = Some(entry.clone());
            Ok(())
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(lock(&self.slot.entry).take().is_some()) })
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        // An entry in memory is never damaged.
        Box::pin(async { Ok(()) })
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(async {})
    }
}
