//! The database of a store: its connection, its names and its sealing keys.

use std::sync::Arc;
use std::time::Duration;

use crate::runtime::runtime::Runtime;
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::redis::connection::Connection;
use crate::store::redis::scripts::{Names, SealedEntry};
use crate::store::seal::SealingKeys;
use crate::store::store::StoredEntry;

/// The database and its settings. All clones and leases of a store share it.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) keys: SealingKeys,
    pub(super) prefix: String,
    pub(super) lease_duration: Duration,
    pub(super) runtime: Arc<dyn Runtime>,
}

impl Database {
    pub(super) fn names(&self, id: &str) -> Names {
        Names::new(&self.prefix, id)
    }

    /// Opens an entry, and returns its key with it.
    pub(super) fn open(
        &self,
        id: &str,
        sealed: Option<SealedEntry>,
    ) -> Result<Option<(StoreKey, StoredEntry)>, StoreError> {
        let Some(SealedEntry { sealed, age, .. }) = sealed else {
            return Ok(None);
        };
        let (key, entry) = self.keys.open(id, &sealed)?;
        let age = Some(age);
        Ok(Some((key, StoredEntry { entry, age })))
    }
}
