//! What all clones and leases of a store share.

use std::sync::Arc;
use std::time::Duration;

use crate::runtime::runtime::Runtime;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::record;
use crate::store::redis::connection::Connection;
use crate::store::redis::scripts::{Kept, Names};
use crate::store::seal::SealingKeys;
use crate::store::store::StoredEntry;

/// What all clones and leases of a store share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) connection: Connection,
    pub(super) ring: SealingKeys,
    pub(super) prefix: String,
    pub(super) lease: Duration,
    pub(super) runtime: Arc<dyn Runtime>,
}

impl Desk {
    pub(super) fn names(&self, id: &str) -> Names {
        Names::new(&self.prefix, id)
    }

    pub(super) fn open(
        &self,
        id: &str,
        kept: Option<Kept>,
    ) -> Result<Option<(StoreKey, StoredEntry)>, StoreError> {
        let Some(kept) = kept else {
            return Ok(None);
        };
        let (key, entry) = record::decode(&self.ring.open(id, &kept.sealed)?)?;
        let kept = StoredEntry {
            entry,
            age: Some(kept.age),
        };
        Ok(Some((key, kept)))
    }
}
