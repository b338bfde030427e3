//! A store in the keyring of the system, shared by all processes of one user.

use std::path::Path;
use std::time::Duration;

#[cfg(any(windows, target_vendor = "apple"))]
mod native;
#[cfg(not(any(windows, target_vendor = "apple")))]
mod secret_service;

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::runtime::runtime::Runtime;
use crate::store::availability::Availability;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::file::FileStore;
use crate::store::file::directory::{Directory, ELSEWHERE, LOCK};
use crate::store::file::lease::Entries;
use crate::store::key::StoreKey;
#[cfg(any(windows, target_vendor = "apple"))]
use crate::store::keyring::native::SystemKeyring;
#[cfg(not(any(windows, target_vendor = "apple")))]
use crate::store::keyring::secret_service::SystemKeyring;
use crate::store::record;
use crate::store::store::{
    EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore, quarantined, summarize,
};

/// A store in the keyring of the system: Secret Service, the macOS keychain, or the Windows Credential Manager.
///
/// Entries have the service `keyfob`, and the [id](StoreKey::id) of their key as the user. They are as safe as the keyring. A
/// lease is a lock on a file in a directory, as in a [`FileStore`]; the directory holds no secret.
///
/// Windows keeps at most 2560 bytes in an entry. Saving a longer token fails with an error that says so.
///
/// ```no_run
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{FileStore, KeyringStore, StoreKey};
///
/// let store = KeyringStore::new(FileStore::default_directory()?);
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyringStore {
    /// Holds the locks and the ids of entries, but no entries.
    locks: FileStore,
}

impl KeyringStore {
    /// A store whose locks are in this directory. All processes that share the store must use the same one.
    #[must_use]
    pub fn new(locks: impl AsRef<Path>) -> Self {
        Self {
            locks: FileStore::new(locks),
        }
    }

    /// Uses the keyring on this runtime; the default is [`TokioOrThreads`](crate::runtime::TokioOrThreads).
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.locks = self.locks.runtime(runtime);
        self
    }
}

impl TokenStore for KeyringStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        let key = key.clone();
        self.locks
            .run(move |directory| Keyring(directory.clone()).read(&key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        let entries = Keyring(self.locks.directory.clone());
        self.locks.lease_of((entries, |_| {}), key, max_wait)
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        self.locks.run(|directory| {
            // The keyring cannot list its entries, so files say which ones there may be. Earlier versions left the lock file only.
            let mut ids = directory.ids(ELSEWHERE)?;
            ids.extend(directory.ids(LOCK)?);
            ids.sort();
            ids.dedup();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            with_keyring(|keyring| {
                Ok(summarize(ids.into_iter().map(|id| {
                    let found = match read(keyring, &id) {
                        Ok(None) if has_quarantined(keyring, &id) => Err(quarantined()),
                        found => found,
                    };
                    (id, found)
                })))
            })
        })
    }

    fn availability(&self) -> Availability {
        self.locks.availability()
    }
}

/// The entries in the keyring, whose ids are in this directory. Each call opens the keyring again.
#[derive(Clone)]
struct Keyring(Directory);

impl Entries for Keyring {
    fn read_id(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
        with_keyring(|keyring| Ok(read(keyring, id)))?
    }

    fn write(&self, key: &StoreKey, entry: &Entry) -> Result<(), StoreError> {
        let record = record::encode(key, entry);
        // Before the entry, so that a crash leaves none that is not listed.
        self.0.note_elsewhere(key.id())?;
        with_keyring(|keyring| keyring.write(SERVICE, key.id(), &record))
    }

    fn remove(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let removed = with_keyring(|keyring| {
            let quarantined = keyring.remove(SERVICE, &format!("{}{BAD}", key.id()))?;
            Ok(keyring.remove(SERVICE, key.id())? || quarantined)
        })?;
        self.0.forget_elsewhere(key.id())?;
        Ok(removed)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<(), StoreError> {
        with_keyring(|keyring| {
            let Some(bytes) = keyring.read(SERVICE, key.id())? else {
                return Ok(());
            };
            // The copy is written first, so that a crash leaves two and never none.
            keyring.write(SERVICE, &format!("{}{BAD}", key.id()), &bytes)?;
            keyring.remove(SERVICE, key.id()).map(drop)
        })
    }
}

/// Reads a secret that may be of another program; `None` if there is no such entry.
pub(crate) fn read_secret(service: &str, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    SystemKeyring::open()?.read(service, user)
}

fn with_keyring<T>(work: impl FnOnce(&SystemKeyring) -> Result<T, Error>) -> Result<T, StoreError> {
    let done = SystemKeyring::open().and_then(|keyring| work(&keyring));
    done.map_err(StoreError::unavailable)
}

fn read(keyring: &SystemKeyring, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
    let bytes = keyring.read(SERVICE, id).map_err(StoreError::unavailable)?;
    bytes.map(|bytes| record::decode(&bytes)).transpose()
}

fn has_quarantined(keyring: &SystemKeyring, id: &str) -> bool {
    matches!(keyring.read(SERVICE, &format!("{id}{BAD}")), Ok(Some(_)))
}

const SERVICE: &str = "keyfob";
const BAD: &str = ".bad";
