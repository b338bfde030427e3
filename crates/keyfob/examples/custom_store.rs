//! A store of one's own: a type that implements `TokenStore`, and a lease that implements `StoreLease`.
//!
//! `cargo run -p keyfob --example custom_store` shows two caches that share one token through the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};
use keyfob::clock::{Clock, SystemClock};
use keyfob::error::BoxError;
use keyfob::source::Persisted;
use keyfob::store::{
    Entry, EntrySummary, StoreError, StoreKey, StoreLease, StoredEntry, TokenStore,
};
use keyfob::{Error, TokenCache};

/// Keeps entries in a map, with one lease for all of them.
#[derive(Clone, Default)]
struct MapStore {
    entries: Arc<Mutex<HashMap<StoreKey, Entry>>>,
    lease: Arc<AsyncMutex<()>>,
}

impl MapStore {
    fn entries(&self) -> MutexGuard<'_, HashMap<StoreKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self, key: &StoreKey) -> Option<StoredEntry> {
        let entry = self.entries().get(key).cloned()?;
        // A store with a clock of its own, such as a database, fills in `age`.
        Some(StoredEntry { entry, age: None })
    }
}

impl TokenStore for MapStore {
    /// Reading needs no lease.
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move { Ok(self.stored(key)) })
    }

    /// Waits for the lease, which only one caller has at a time.
    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            let timeout = SystemClock.sleep(max_wait);
            match select(Arc::clone(&self.lease).lock_owned(), timeout).await {
                Either::Left((held, _)) => Ok(Box::new(MapLease {
                    store: self.clone(),
                    key: key.clone(),
                    _held: held,
                }) as Box<dyn StoreLease>),
                // `busy` means: try again. `unavailable` means that the store cannot be reached.
                Either::Right(_) => Err(StoreError::busy(Error::unavailable(
                    "another task holds the lease for too long",
                ))),
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        let entries = self.entries();
        let summaries = entries.iter();
        let summaries = summaries.map(|(key, entry)| EntrySummary::of(key.clone(), entry));
        let summaries = summaries.collect();
        Box::pin(async move { Ok(summaries) })
    }
}

/// The right to write one entry. Dropping the guard lets the next caller have it.
struct MapLease {
    store: MapStore,
    key: StoreKey,
    _held: OwnedMutexGuard<()>,
}

impl StoreLease for MapLease {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move { Ok(self.store.stored(&self.key)) })
    }

    /// A store on disk returns only when the entry would survive a crash.
    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.store.entries().insert(self.key.clone(), entry.clone());
            Ok(())
        })
    }

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.store.entries().remove(&self.key).is_some()) })
    }

    /// A map never holds an entry that cannot be read.
    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { drop(self) })
    }
}

/// A cache as two parts of a program make it, each with a source of its own.
fn tokens(name: &'static str, store: MapStore) -> TokenCache {
    let source = keyfob::hook(move |_| async move {
        println!("{name} calls its source");
        Ok::<_, BoxError>((format!("token-of-{name}"), Duration::from_secs(300)))
    });
    let key = StoreKey::builder("https://issuer.example.com")
        .client("reports")
        .build();
    TokenCache::new(Persisted::new(source, store, key))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let store = MapStore::default();
    let (one, other) = (tokens("one", store.clone()), tokens("other", store.clone()));

    // The first cache calls its source. The second cache finds the token in the store.
    println!("{}", one.get_valid_token().await?.expose());
    println!("{}", other.get_valid_token().await?.expose());
    println!(
        "the store has {} entry",
        store.list().await.map_err(|e| e.error().clone())?.len()
    );
    Ok(())
}
