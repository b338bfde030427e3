//! Where a token is kept so that it outlives a process, and is shared by many processes or machines.

pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod key;
#[cfg(feature = "keyring")]
pub(crate) mod keyring;
pub(crate) mod memory;
pub(crate) mod record;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod seal;
pub(crate) mod store;

pub use crate::store::entry::{Entry, PendingExchange};
pub use crate::store::error::{StoreError, StoreErrorKind};
pub use crate::store::file::FileStore;
pub use crate::store::key::{StoreKey, StoreKeyBuilder};
#[cfg(feature = "keyring")]
pub use crate::store::keyring::KeyringStore;
pub use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;
pub use crate::store::seal::{SealingKey, SealingKeys};
pub use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore};
