//! A store in a directory of the user's own, shared by all processes of one machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub(in crate::store) mod directory;
pub(in crate::store) mod lease;
mod lock;
#[cfg(unix)]
mod owner;
#[cfg(not(unix))]
mod owner_elsewhere;
mod state_dir;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::store::error::StoreError;
use crate::store::file::directory::Directory;
use crate::store::file::lease::{Entries, FileLease, beside};
use crate::store::file::lock::Lock;
use crate::store::file::state_dir::default_directory;
use crate::store::key::StoreKey;
use crate::store::seal::SealingKeys;
use crate::store::store::{EntrySummary, StoreLease, StoredEntry, TokenStore};

/// A store in a directory of the user's own, shared by all processes of one machine.
///
/// The directory and its files belong to the user and nobody else can read them: a store that finds them otherwise
/// refuses to use them. An entry is replaced at once or not at all. The lease is a lock of the system on a file
/// beside it, which ends when its process does, however that ends. With a [key ring](Self::sealed) entries are
/// sealed as well.
///
/// Not for a directory on a network: locks and renames there do not hold what is promised here. The owner of files
/// is checked on Unix alone; elsewhere the rights that the directory gives on are what they are.
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
    directory: Directory,
    runtime: Arc<dyn Runtime>,
}

impl FileStore {
    /// A store in this directory, which is made when something is first kept.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            directory: Directory::new(path.as_ref().to_owned()),
            runtime: Arc::new(TokioOrThreads),
        }
    }

    /// Where programs keep state of this user: `keyfob` in `$XDG_STATE_HOME` or `~/.local/state`.
    ///
    /// On Windows it is `keyfob` in `%LOCALAPPDATA%`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the environment names no home.
    pub fn default_directory() -> Result<PathBuf, Error> {
        default_directory()
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Seals what is written from now on; what was written without a key can still be read.
    #[must_use]
    pub fn sealed(mut self, ring: SealingKeys) -> Self {
        self.directory.seal_with(ring);
        self
    }

    /// Reads and writes somewhere else than on [`TokioOrThreads`].
    #[must_use]
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }

    pub(in crate::store) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let directory = self.directory.clone();
        beside(&*self.runtime, move || work(&directory))
    }

    /// Waits for the lock of this key, under which these entries are written.
    pub(in crate::store) fn lease_of<'a, E: Entries>(
        &'a self,
        entries: E,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            let lease: Box<dyn StoreLease> = Box::new(FileLease {
                entries,
                runtime: Arc::clone(&self.runtime),
                key: key.clone(),
                lock: Arc::new(self.lock(key, max_wait).await?),
            });
            Ok(lease)
        })
    }

    async fn lock(&self, key: &StoreKey, max_wait: Duration) -> Result<Lock, StoreError> {
        let clock = SystemClock;
        let end = clock.elapsed().saturating_add(max_wait);
        let mut pauses = 0;
        loop {
            let wanted = key.clone();
            if let Some(lock) = self.run(move |directory| directory.lock(&wanted)).await? {
                return Ok(lock);
            }
            let left = end.saturating_sub(clock.elapsed());
            if left.is_zero() {
                return Err(busy());
            }
            pauses += 1;
            clock.sleep(pause(pauses).min(left)).await;
        }
    }
}

impl TokenStore for FileStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        let key = key.clone();
        self.run(move |directory| directory.read(&key))
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        self.lease_of(self.directory.clone(), key, max_wait)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        self.run(Directory::list)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// How long to wait before the lock is tried again; jittered, so that those who wait do not come at once.
fn pause(attempt: u32) -> Duration {
    let longest = (LOCK_PAUSE * attempt).min(LONGEST_LOCK_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn busy() -> StoreError {
    StoreError::busy(Error::unavailable(
        "another process renews the stored token, and that takes too long",
    ))
}

const LOCK_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_LOCK_PAUSE: Duration = Duration::from_millis(25);
