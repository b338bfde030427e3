//! A store in the keyring of the system, shared by all processes of one user.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub(crate) mod vault;

use crate::runtime::Runtime;
use crate::store::KeptEntry;
use crate::store::Listed;
use crate::store::StoreLease;
use crate::store::TokenStore;
use crate::store::by_label;
use crate::store::entry::Entry;
use crate::store::fault::StoreError;
use crate::store::file::FileStore;
use crate::store::file::directory::LOCK;
use crate::store::file::lock::Lock;
use crate::store::key::StoreKey;
use crate::store::keyring::vault::Vault;
use crate::store::record;

/// A store in the keyring of the system: Secret Service, the keychain of macOS, or Windows' credentials.
///
/// Entries are of the service `keyfob`, each with the [id](StoreKey::id) of its key as the user, and as secret as that
/// keyring makes them. A lease is a lock of the system on a file in a directory of the user's own, as
/// [`FileStore`] has; the directory holds no secret.
///
/// Windows keeps no more than 2560 bytes in an entry: a token that is longer cannot be saved there, and the error says so.
///
/// ```no_run
/// use keyfob::{EnvToken, FileStore, KeyringStore, Persisted, StoreKey, TokenCache};
///
/// let store = KeyringStore::new(FileStore::usual_directory()?);
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyringStore {
    /// Has the locks alone.
    locks: FileStore,
}

impl KeyringStore {
    /// A store whose locks are in this directory, which all processes that share it must name.
    #[must_use]
    pub fn new(locks: impl AsRef<Path>) -> Self {
        Self {
            locks: FileStore::new(locks),
        }
    }

    /// Asks the keyring somewhere else than on [`Ambient`](crate::Ambient).
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.locks = self.locks.runtime(runtime);
        self
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        self.locks
            .run(move |_| work(&Vault::open().map_err(StoreError::away)?))
    }
}

impl TokenStore for KeyringStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<KeptEntry>, StoreError>> {
        let key = key.clone();
        self.run(move |vault| read(vault, &key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            let lease: Box<dyn StoreLease> = Box::new(KeyringLease {
                store: self.clone(),
                key: key.clone(),
                lock: Arc::new(self.locks.lock(key, patience).await?),
            });
            Ok(lease)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Listed>, StoreError>> {
        self.locks.run(|directory| {
            let ids = directory.ids(LOCK)?;
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let vault = Vault::open().map_err(StoreError::away)?;
            Ok(by_label(ids.into_iter().filter_map(|id| {
                let found = read_id(&vault, &id);
                Listed::found(id, found)
            })))
        })
    }
}

struct KeyringLease {
    store: KeyringStore,
    key: StoreKey,
    /// Work on the entry holds it too: a lease that is dropped meanwhile ends when that work does.
    lock: Arc<Lock>,
}

impl KeyringLease {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault, &StoreKey) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (key, lock) = (self.key.clone(), Arc::clone(&self.lock));
        self.store.run(move |vault| {
            let done = work(vault, &key);
            drop(lock);
            done
        })
    }
}

impl StoreLease for KeyringLease {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<KeptEntry>, StoreError>> {
        self.run(read)
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        let entry = entry.clone();
        self.run(move |vault, key| {
            let record = record::encode(key, &entry);
            let written = vault.write(SERVICE, key.id(), &record);
            written.map_err(StoreError::away)
        })
    }

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.run(|vault, key| {
            let removed = vault.remove(SERVICE, key.id());
            removed.map_err(StoreError::away)
        })
    }

    fn set_aside(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run(|vault, key| set_aside(vault, key.id()).map_err(StoreError::away))
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(async {})
    }
}

impl fmt::Debug for KeyringStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringStore")
            .field("locks", &self.locks.path())
            .finish_non_exhaustive()
    }
}

fn read(vault: &Vault, key: &StoreKey) -> Result<Option<KeptEntry>, StoreError> {
    match read_id(vault, key.id())? {
        Some((found, _)) if found.id() != key.id() => Err(record::damaged()),
        found => Ok(found.map(|(_, entry)| KeptEntry { entry, age: None })),
    }
}

fn read_id(vault: &Vault, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
    let bytes = vault.read(SERVICE, id).map_err(StoreError::away)?;
    bytes.map(|bytes| record::decode(&bytes)).transpose()
}

fn set_aside(vault: &Vault, id: &str) -> Result<(), crate::error::Error> {
    if let Some(bytes) = vault.read(SERVICE, id)? {
        vault.write(SERVICE, &format!("{id}{BAD}"), &bytes)?;
        vault.remove(SERVICE, id)?;
    }
    Ok(())
}

const SERVICE: &str = "keyfob";
const BAD: &str = ".bad";
