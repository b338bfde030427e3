//! The lease of an entry in Redis. A background task extends it while it is held.

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, BoxFuture, abortable};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::error::printable::printable;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::redis::database::Row;
use crate::store::store::{StoreFuture, StoreLease, StoredEntry};

pub(super) struct RedisLease {
    row: Row,
    key: StoreKey,
    /// A random name that tells this lease from all others.
    lease_id: String,
    /// A number that grows with each lease of this entry.
    fence: u64,
    /// The revision of the entry that the next save follows.
    seen: String,
    /// The revision of a save whose reply was lost. It may have been saved, so the next save may follow it as well.
    tried: String,
    saves: u64,
    extension: AbortHandle,
    is_released: bool,
}

impl RedisLease {
    pub(super) fn new(row: Row, key: StoreKey, lease_id: String, fence: u64) -> Self {
        let (task, extension) = abortable(keep_extending(row.clone(), lease_id.clone()));
        row.database.runtime.spawn(Box::pin(task.map(drop)));
        Self {
            row,
            key,
            lease_id,
            fence,
            seen: String::new(),
            tried: String::new(),
            saves: 0,
            extension,
            is_released: false,
        }
    }
}

/// Extends the lease until it has expired. If the server does not reply, the lease may still be valid, so this goes on.
async fn keep_extending(row: Row, lease_id: String) {
    loop {
        let pause = row.database.lease_duration / EXTENSIONS;
        SystemClock.sleep(pause).await;
        if let Ok(false) = row.extend(&lease_id).await {
            return;
        }
    }
}

impl StoreLease for RedisLease {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        Box::pin(async move {
            let (revision, opened) = self.row.load().await?;
            // Even if the entry cannot be opened: a save that replaces it follows this revision.
            self.seen = revision;
            Ok(opened?.map(|(_, stored)| stored))
        })
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let sealed = self.row.database.keys.seal(&self.key, entry)?;
            self.saves += 1;
            let revision = format!("{}.{}.{}", self.fence, self.lease_id, self.saves);
            // The lease may have expired while this process hung. The server compares revisions in the same step as it
            // writes, so a late save never replaces what another process has saved since.
            let follows = [self.seen.as_str(), self.tried.as_str()];
            match self.row.save(follows, &revision, &sealed).await {
                Ok(true) => {
                    self.seen = revision;
                    Ok(())
                }
                Ok(false) => Err(conflict()),
                Err(fault) => {
                    self.tried = revision;
                    Err(fault)
                }
            }
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(self.row.remove())
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        self.seen.clear();
        Box::pin(self.row.quarantine())
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.is_released = true;
        Box::pin(end_lease(self.row.clone(), self.lease_id.clone()))
    }
}

/// Ends the lease. If that fails, the lease expires by itself.
async fn end_lease(row: Row, lease_id: String) {
    if let Err(fault) = row.release(&lease_id).await {
        tracing::debug!(target: "keyfob", error = %printable(&fault), "the lease of the shared token was not released; it expires by itself");
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        self.extension.abort();
        if !self.is_released {
            let task = end_lease(self.row.clone(), self.lease_id.clone());
            self.row.database.runtime.spawn(Box::pin(task));
        }
    }
}

fn conflict() -> StoreError {
    StoreError::conflict(Error::unavailable(
        "the lease of the shared token expired, and another process has saved since",
    ))
}

/// How often a lease is extended within its duration.
const EXTENSIONS: u32 = 3;
