//! Where tokens survive a restart, and are shared by processes or machines: the [`TokenStore`] trait, and its implementations.
//!
//! [`Persisted`](crate::source::Persisted) puts a store in front of a source. Choose the store by who shares the token:
//!
//! | shared by | use | protection of the stored tokens |
//! |---|---|---|
//! | caches of one process | [`MemoryStore`] | never leaves the memory |
//! | processes of one user on one machine | [`FileStore`] | files that only the owner can read; [sealed](FileStore::sealed) if you give keys |
//! | the same, with the secrets in the system's keyring | `KeyringStore`, with the feature `keyring` | the keyring |
//! | many machines | `RedisStore`, with the feature `redis` | always sealed |
//! | many machines, with a database | `PostgresStore`, with the feature `postgres` | always sealed |
//! | something else | your own [`TokenStore`]; its docs have a complete example | seal with [`SealingKeys`] |
//!
//! A store keeps one [`Entry`] for each [`StoreKey`]. Everyone may read an entry at any time. Only the holder of the key's
//! [lease](StoreLease) may write it.
//!
//! This folder may import `exchange` and the folders after it.

pub(crate) mod availability;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod connection_pool;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod connections;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod key;
#[cfg(feature = "keyring")]
pub(crate) mod keyring;
mod leased_row;
pub(crate) mod memory;
mod outage;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod record;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod seal;
pub(crate) mod store;
#[cfg(feature = "postgres")]
pub(crate) mod table_name;
pub(crate) mod transfer;

pub use crate::store::availability::Availability;
pub use crate::store::entry::{Entry, PendingExchange};
pub use crate::store::error::{StoreError, StoreErrorKind};
pub use crate::store::file::FileStore;
pub use crate::store::key::{StoreKey, StoreKeyBuilder};
#[cfg(feature = "keyring")]
pub use crate::store::keyring::KeyringStore;
pub use crate::store::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use crate::store::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;
pub use crate::store::seal::{SealingKey, SealingKeys};
pub use crate::store::store::{EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore};
#[cfg(feature = "postgres")]
#[doc(hidden)]
pub use crate::store::table_name::check_table_name;
pub use crate::store::transfer::{import_entry, move_entry, move_entry_keeping_newer, seal_again};
