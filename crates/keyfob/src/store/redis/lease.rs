//! The lease of an entry in Redis. A background task extends it while it is held.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::redis::database::Database;
use crate::store::redis::scripts;
use crate::store::redis::scripts::Names;
use crate::store::store::{StoreFuture, StoreLease, StoredEntry};

pub(super) struct RedisLease {
    database: Arc<Database>,
    key: StoreKey,
    names: Names,
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
    pub(super) fn new(
        database: Arc<Database>,
        key: StoreKey,
        lease_id: String,
        fence: u64,
    ) -> Self {
        let (extension, registration) = AbortHandle::new_pair();
        let task = keep_extending(
            Arc::clone(&database),
            database.names(key.id()),
            lease_id.clone(),
        );
        let task = Abortable::new(task, registration).map(drop);
        database.runtime.spawn(Box::pin(task));
        Self {
            names: database.names(key.id()),
            database,
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
async fn keep_extending(database: Arc<Database>, names: Names, lease_id: String) {
    let clock = SystemClock;
    loop {
        clock.sleep(database.lease_duration / EXTENSIONS).await;
        let extended = scripts::extend(
            &database.connection,
            &names,
            &lease_id,
            database.lease_duration,
        )
        .await;
        if let Ok(false) = extended {
            return;
        }
    }
}

impl StoreLease for RedisLease {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        Box::pin(async move {
            let sealed = scripts::load(&self.database.connection, &self.names).await?;
            self.seen = sealed
                .as_ref()
                .map_or_else(String::new, |sealed| sealed.revision.clone());
            let found = self.database.open(self.key.id(), sealed)?;
            Ok(found.map(|found| found.1))
        })
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let sealed = self.database.keys.seal(&self.key, entry)?;
            self.saves += 1;
            let revision = format!("{}.{}.{}", self.fence, self.lease_id, self.saves);
            let follows = [self.seen.as_str(), self.tried.as_str()];
            let new = (revision.as_str(), sealed.as_slice());
            let saved = scripts::save(&self.database.connection, &self.names, follows, new).await;
            match saved {
                Ok(true) => {}
                Ok(false) => return Err(conflict()),
                Err(fault) => {
                    self.tried = revision;
                    return Err(fault);
                }
            }
            self.seen = revision;
            Ok(())
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(async move { scripts::remove(&self.database.connection, &self.names).await })
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.seen.clear();
            scripts::quarantine(&self.database.connection, &self.names).await
        })
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.is_released = true;
        let (database, id, lease_id) = self.for_release();
        Box::pin(end_lease(database, id, lease_id))
    }
}

impl RedisLease {
    fn for_release(&self) -> (Arc<Database>, String, String) {
        self.extension.abort();
        (
            Arc::clone(&self.database),
            self.key.id().to_owned(),
            self.lease_id.clone(),
        )
    }
}

/// Ends the lease. If that fails, the lease expires by itself.
async fn end_lease(database: Arc<Database>, id: String, lease_id: String) {
    let released = scripts::release(&database.connection, &database.names(&id), &lease_id).await;
    if let Err(fault) = released {
        tracing::debug!(target: "keyfob", error = %fault, "the lease of the shared token was not released; it expires by itself");
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        let (database, id, lease_id) = self.for_release();
        if !self.is_released {
            let runtime = Arc::clone(&database.runtime);
            runtime.spawn(Box::pin(end_lease(database, id, lease_id)));
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
