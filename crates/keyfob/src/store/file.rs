//! A store in a directory of the user, shared by all processes of one machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

pub(in crate::store) mod directory;
pub(in crate::store) mod lease;
mod owner;
mod sweep;

use crate::clock::backoff::Backoff;
use crate::error::error::Error;
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::store::availability::Availability;
use crate::store::error::StoreError;
use crate::store::file::directory::Directory;
use crate::store::file::lease::{Entries, FileLease, Held, run_blocking};
use crate::store::key::StoreKey;
use crate::store::seal::SealingKeys;
use crate::store::store::{
    EntrySummary, StoreFuture, StoreLease, StoredEntry, TokenStore, wait_for_lease,
};

/// A store in a directory of the user, shared by all processes of one machine.
///
/// The directory and its files belong to the user, and other users cannot read them. If the store finds other permissions, it
/// refuses to use them. An entry is replaced completely or not at all. The lease is a lock of the system on a second
/// file, which ends with its process. With [keys](Self::sealed), entries are encrypted as well.
///
/// Do not use it in a directory on a network, where locks and renames are not reliable. Owner and permissions are
/// checked on Unix only; on other systems, files inherit the permissions of the directory.
///
/// ```no_run
/// use keyfob::{EnvToken, TokenCache};
/// use keyfob::source::Persisted;
/// use keyfob::store::{FileStore, StoreKey};
///
/// let store = FileStore::new(FileStore::default_directory()?);
/// let key = StoreKey::builder("https://issuer.example.com").client("reports").build();
/// let tokens = TokenCache::new(Persisted::new(EnvToken::new("API_TOKEN"), store, key));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct FileStore {
    pub(in crate::store) directory: Directory,
    runtime: Arc<dyn Runtime>,
    availability: Availability,
}

impl FileStore {
    /// A store in this directory, which is created when the first lease is taken.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            directory: Directory {
                path: path.as_ref().to_owned(),
                keys: None,
                idle_timeout: None,
                next_sweep: Arc::default(),
            },
            runtime: Arc::new(TokioOrThreads),
            availability: Availability::default(),
        }
    }

    /// The directory `keyfob` where programs keep state of this user.
    ///
    /// That is `$XDG_STATE_HOME/keyfob`, or else `~/.local/state/keyfob`; on Windows `%LOCALAPPDATA%\\keyfob`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the user has no home directory.
    pub fn default_directory() -> Result<PathBuf, Error> {
        let strategy = etcetera::choose_base_strategy().ok();
        // Windows has no directory for state. What belongs to one machine is in the directory that `etcetera` has for caches.
        let state = strategy.map(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.cache_dir()));
        let state = state.filter(|state| state.is_absolute()).ok_or_else(|| {
            Error::input(
                "there is no directory for the token store; set XDG_STATE_HOME or HOME, or name a directory",
            )
        })?;
        Ok(state.join("keyfob"))
    }

    /// The directory of this store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Seals entries when they are written. Entries that were written without a key can still be read.
    #[must_use]
    pub fn sealed(mut self, keys: SealingKeys) -> Self {
        // Not bound to the path, so that the directory can be moved.
        self.directory.keys = Some(keys.bound_to("files"));
        self
    }

    /// Sets how long an entry with a refresh token is kept that nothing saves again; without this, forever.
    ///
    /// An entry is saved at each renewal, so this is how long a user may stay away and still be signed in. Set it to the
    /// time after which the issuer forgets a refresh token, or longer. Entries without a refresh token go a day after their token
    /// has expired. A process looks for both at most once an hour, when it saves or removes an entry.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.directory.idle_timeout = Some(timeout);
        self
    }

    /// Reads and writes on this runtime; the default is [`TokioOrThreads`].
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    /// The note with this id: a text that is no entry and no secret.
    pub(crate) fn read_note(&self, id: String) -> StoreFuture<'static, Option<Zeroizing<Vec<u8>>>> {
        self.run(move |directory| directory.read_note(&id))
    }

    /// Replaces the note with this id, or removes it.
    pub(crate) fn write_note(&self, id: String, text: Option<String>) -> StoreFuture<'static, ()> {
        self.run(move |directory| directory.write_note(&id, text.as_deref()))
    }

    pub(in crate::store) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let directory = self.directory.clone();
        run_blocking(&*self.runtime, move || work(&directory))
    }

    /// Waits for the lock of this key, and returns a lease on it over these entries. `after_change` runs after each change.
    pub(in crate::store) fn lease_of<'a, E: Entries>(
        &'a self,
        (entries, after_change): (E, fn(&E)),
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        Box::pin(async move {
            let lock = wait_for_lease(max_wait, LOCK_PAUSES, || {
                let key = key.clone();
                self.run(move |directory| directory.lock(key.id()))
            });
            let (directory, id) = (self.directory.clone(), key.id().to_owned());
            let held = Held {
                entries,
                at_end: Box::new(move |lock| directory.remove_lock_without_entry(&id, lock)),
                after_change,
                runtime: Arc::clone(&self.runtime),
                key: key.clone(),
                lock: lock.await?,
            };
            let lease: Box<dyn StoreLease> = Box::new(FileLease(Arc::new(held)));
            Ok(lease)
        })
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        let key = key.clone();
        self.run(move |directory| directory.read(&key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        let entries = self.directory.clone();
        self.lease_of((entries, sweep::run_if_due), key, max_wait)
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        self.run(Directory::list)
    }

    fn availability(&self) -> Availability {
        self.availability.clone()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// How long to wait before the lock is tried again.
const LOCK_PAUSES: Backoff = Backoff {
    first: Duration::from_millis(2),
    cap: Duration::from_millis(25),
};
