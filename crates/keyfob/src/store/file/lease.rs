//! A lease that is a lock of the system, over entries that are read and written by calls that block.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::error::Error;
use crate::runtime::runtime;
use crate::runtime::runtime::Runtime;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::file::lock::Lock;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::store::{StoreLease, StoredEntry};

/// Where entries are, in files or elsewhere. All of it blocks its thread.
pub(in crate::store) trait Entries: Clone + Send + Sync + 'static {
    /// What is kept under the id of a key, whoever holds its lock: what is there has been put there whole.
    fn read_id(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError>;

    /// The entry of this key, likewise.
    fn read(&self, key: &StoreKey) -> Result<Option<StoredEntry>, StoreError> {
        match self.read_id(key.id())? {
            Some((found, _)) if found.id() != key.id() => Err(record::damaged()),
            found => Ok(found.map(|(_, entry)| StoredEntry { entry, age: None })),
        }
    }

    /// Replaces the entry, and returns when it would survive a crash. Only for who holds the lock, as all below.
    fn write(&self, key: &StoreKey, entry: &Entry) -> Result<(), StoreError>;

    /// Says whether there was one.
    fn remove(&self, key: &StoreKey) -> Result<bool, StoreError>;

    fn quarantine(&self, key: &StoreKey) -> Result<(), StoreError>;
}

/// The lease of one key, as long as its lock is held.
pub(super) struct FileLease<E> {
    pub(super) entries: E,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) key: StoreKey,
    /// Work on the entry holds it too: a lease that is dropped meanwhile ends when that work does.
    pub(super) lock: Arc<Lock>,
}

impl<E: Entries> FileLease<E> {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&E, &StoreKey) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (entries, key, lock) = (
            self.entries.clone(),
            self.key.clone(),
            Arc::clone(&self.lock),
        );
        beside(&*self.runtime, move || {
            let done = work(&entries, &key);
            drop(lock);
            done
        })
    }
}

impl<E: Entries> StoreLease for FileLease<E> {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>> {
        self.run(E::read)
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        let entry = entry.clone();
        self.run(move |entries, key| entries.write(key, &entry))
    }

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.run(E::remove)
    }

    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run(E::quarantine)
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(async {})
    }
}

/// Runs work that blocks beside the caller.
pub(super) fn beside<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    let done = runtime::run_blocking(runtime, work);
    Box::pin(async move { done.await.unwrap_or_else(|| Err(stopped())) })
}

fn stopped() -> StoreError {
    StoreError::unavailable(Error::unavailable(
        "the runtime stopped before the token store answered",
    ))
}
