//! The lease of an entry in Redis: renewed beside while it is held, and given back at the end.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::redis::scripts;
use crate::store::redis::scripts::Names;
use crate::store::redis::shared::Desk;
use crate::store::store::{StoreLease, StoredEntry};

pub(super) struct RedisLease {
    desk: Arc<Desk>,
    key: StoreKey,
    names: Names,
    owner: String,
    /// Grows with each lease of this entry.
    fence: u64,
    /// The state of the entry that the next save follows.
    seen: String,
    /// The state that the last save made, if it was done, of which there was no answer.
    tried: String,
    saves: u64,
    renewal: AbortHandle,
    is_released: bool,
}

impl RedisLease {
    pub(super) fn new(desk: Arc<Desk>, key: StoreKey, owner: String, fence: u64) -> Self {
        let (renewal, registration) = AbortHandle::new_pair();
        let task = stay_heard(Arc::clone(&desk), desk.names(key.id()), owner.clone());
        let task = Abortable::new(task, registration).map(drop);
        desk.runtime.spawn(Box::pin(task));
        Self {
            names: desk.names(key.id()),
            desk,
            key,
            owner,
            fence,
            seen: String::new(),
            tried: String::new(),
            saves: 0,
            renewal,
            is_released: false,
        }
    }
}

/// Renews the lease until it is lost or over. A server that does not answer is asked again: the lease may still stand.
async fn stay_heard(desk: Arc<Desk>, names: Names, owner: String) {
    let clock = SystemClock;
    loop {
        clock.sleep(desk.lease / RENEWALS).await;
        let renewed = scripts::renew(&desk.connection, &names, &owner, desk.lease).await;
        if let Ok(false) = renewed {
            return;
        }
    }
}

impl StoreLease for RedisLease {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let kept = scripts::load(&self.desk.connection, &self.names).await?;
            self.seen = kept
                .as_ref()
                .map_or_else(String::new, |kept| kept.revision.clone());
            let found = self.desk.open(self.key.id(), kept)?;
            Ok(found.map(|found| found.1))
        })
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let plain = record::encode(&self.key, entry);
            let sealed = self.desk.ring.seal(&self.key, &plain);
            let sealed = sealed.map_err(StoreError::unavailable)?;
            self.saves += 1;
            let revision = format!("{}.{}.{}", self.fence, self.owner, self.saves);
            let follows = [self.seen.as_str(), self.tried.as_str()];
            let kept = (revision.as_str(), sealed.as_slice());
            let saved = scripts::save(&self.desk.connection, &self.names, follows, kept).await;
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

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { scripts::remove(&self.desk.connection, &self.names).await })
    }

    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.seen.clear();
            scripts::quarantine(&self.desk.connection, &self.names).await
        })
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.is_released = true;
        let (desk, id, owner) = self.for_release();
        Box::pin(give_back(desk, id, owner))
    }
}

impl RedisLease {
    fn for_release(&self) -> (Arc<Desk>, String, String) {
        self.renewal.abort();
        (
            Arc::clone(&self.desk),
            self.key.id().to_owned(),
            self.owner.clone(),
        )
    }
}

/// A lease that cannot be given back ends by itself.
async fn give_back(desk: Arc<Desk>, id: String, owner: String) {
    let released = scripts::release(&desk.connection, &desk.names(&id), &owner).await;
    if let Err(fault) = released {
        tracing::debug!(target: "keyfob", error = %fault, "the lease of the shared token was not given back");
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        let (desk, id, owner) = self.for_release();
        if !self.is_released {
            let runtime = Arc::clone(&desk.runtime);
            runtime.spawn(Box::pin(give_back(desk, id, owner)));
        }
    }
}

fn conflict() -> StoreError {
    StoreError::conflict(Error::unavailable(
        "the lease of the shared token was lost, and another process has saved since",
    ))
}

/// So often a lease is renewed in its length.
const RENEWALS: u32 = 3;
