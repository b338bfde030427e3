//! A lease on entries that are read and written by blocking calls: a file lock of the system.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::runtime::runtime;
use crate::runtime::runtime::Runtime;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::file::owner;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::store::{StoreFuture, StoreLease, StoredEntry};

/// Where entries are kept, in files or in a keyring. All methods block their thread.
pub(in crate::store) trait Entries: Clone + Send + Sync + 'static {
    /// Reads the entry with this id. That needs no lock, because entries are replaced as a whole.
    fn read_id(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError>;

    /// Reads the entry of this key.
    fn read(&self, key: &StoreKey) -> Result<Option<StoredEntry>, StoreError> {
        match self.read_id(key.id())? {
            // The entry of another key, which was copied to this name.
            Some((found, _)) if found.id() != key.id() => Err(record::damaged()),
            found => Ok(found.map(|(_, entry)| StoredEntry { entry, age: None })),
        }
    }

    /// Replaces the entry, and returns when it would survive a crash. The caller holds the lock, here and below.
    fn write(&self, key: &StoreKey, entry: &Entry) -> Result<(), StoreError>;

    /// Removes the entry. Returns whether there was one.
    fn remove(&self, key: &StoreKey) -> Result<bool, StoreError>;

    fn quarantine(&self, key: &StoreKey) -> Result<(), StoreError>;
}

/// The lease of one key. Blocking work on the entry shares it: if it is dropped meanwhile, it ends when that work ends.
pub(super) struct FileLease<E: Entries>(pub(super) Arc<Held<E>>);

/// An entry, and the lock that is held on it.
pub(super) struct Held<E: Entries> {
    pub(super) entries: E,
    /// Runs at the end of the lease, while the lock is held. Removes the lock file if no entry needs it.
    pub(super) at_end: AtEnd,
    /// Runs after the entry was saved or removed. The caller of a save does not wait for it.
    pub(super) after_change: fn(&E),
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) key: StoreKey,
    /// Dropped last, and so after the lock file was removed.
    pub(super) lock: Lock,
}

pub(super) type AtEnd = Box<dyn Fn(&Lock) + Send + Sync>;

impl<E: Entries> Drop for Held<E> {
    fn drop(&mut self) {
        // Not with the entry: until the lease ends, no other process may create and lock another file in its place.
        (self.at_end)(&self.lock);
    }
}

impl<E: Entries> FileLease<E> {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&E, &StoreKey) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let held = Arc::clone(&self.0);
        run_blocking(&*self.0.runtime, move || work(&held.entries, &held.key))
    }
}

impl<E: Entries> StoreLease for FileLease<E> {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        self.run(E::read)
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        let entry = entry.clone();
        let held = Arc::clone(&self.0);
        let saved = self.run(move |entries, key| entries.write(key, &entry));
        Box::pin(async move {
            saved.await?;
            // In the background, because the token is there.
            let (entries, after_change) = (held.entries.clone(), held.after_change);
            let work = move || after_change(&entries);
            held.runtime.spawn_blocking(Box::new(work));
            Ok(())
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        let after_change = self.0.after_change;
        self.run(move |entries, key| {
            let removed = entries.remove(key)?;
            after_change(entries);
            Ok(removed)
        })
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        self.run(E::quarantine)
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(async {})
    }
}

/// A lock on a file. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(in crate::store) struct Lock(File);

impl Lock {
    /// Locks the file at this path; `None` if another task or process has locked it, or has removed it meanwhile.
    pub(super) fn try_new(file: File, path: &Path) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(owner::is_at(&file, path).then_some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(fault)) => Err(fault),
        }
    }

    /// Removes the lock file at this path, if it is the one that is locked.
    pub(super) fn remove(&self, path: &Path) {
        // A person may have removed it, and another process may have locked a new one.
        if owner::is_at(&self.0, path) {
            // If it stays, it is empty.
            let _ = owner::remove_lock(path);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlock explicitly: a child that was forked meanwhile shares the open file, and would keep the lock.
        let _ = self.0.unlock();
    }
}

/// Runs blocking work on another thread.
pub(super) fn run_blocking<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> StoreFuture<'static, T> {
    let done = runtime::run_blocking(runtime, work);
    let stopped = || StoreError::unusable("the runtime stopped before the token store was done");
    Box::pin(async move { done.await.ok_or_else(stopped)? })
}
