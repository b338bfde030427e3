//! An entry that is one row of a database, and a lease of it that expires. A background task extends it while it is held.
//!
//! The stores in databases share this. They differ in how a row is read and written.

use std::sync::Arc;
use std::time::Duration;

pub(super) mod extension;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, BoxFuture, abortable};

use crate::clock::backoff::Backoff;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::store as events;
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::store::entry::Entry;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::{StoreKey, hex};
use crate::store::seal;
use crate::store::seal::{READS, SealingKeys};
use crate::store::store::{StoreFuture, StoreLease, StoredEntry, wait_for_lease};

/// What all rows of a database share.
#[derive(Clone)]
pub(super) struct RowSettings {
    pub(super) keys: SealingKeys,
    pub(super) lease_duration: Duration,
    /// How long an entry with a refresh token is kept that nothing saves again; forever unless set.
    pub(super) idle_timeout: Option<Duration>,
    pub(super) runtime: Arc<dyn Runtime>,
}

/// The place of one entry in a database.
///
/// Each method is atomic on the server. Each may run twice there, because a reply can be lost.
pub(super) trait Row: Clone + Send + Sync + 'static {
    fn id(&self) -> &str;

    fn settings(&self) -> &RowSettings;

    /// Reads the entry.
    fn read(&self) -> impl Future<Output = Result<Option<SealedEntry>, StoreError>> + Send;

    /// Takes the lease; `None` if another process has it. The number that is returned grows with each lease.
    ///
    /// A lease that this process has already taken is taken again, in case the reply to the first call was lost.
    fn lease(&self, lease_id: &str)
    -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Extends the lease, within [`extension::timeout`]; `false` if it has expired, or another process has it.
    fn extend(&self, lease_id: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends the lease, if this process still has it.
    fn release(&self, lease_id: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes an entry that follows one of two revisions; `false` if another process has saved a third one.
    ///
    /// If there is no entry, it was lost or forgotten. Then the new one is all that is left, and it is written. An entry that
    /// already has this revision counts as written.
    fn write(&self, save: Save<'_>) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes the entry, and what was quarantined of it.
    fn remove(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Moves the entry to where only a person looks for it.
    fn quarantine(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// An entry, as the database gets it.
#[derive(Clone, Copy)]
pub(super) struct Save<'a> {
    /// The revisions that it may replace.
    pub(super) follows: [&'a str; 2],
    pub(super) revision: &'a str,
    pub(super) sealed: &'a [u8],
    pub(super) keep_for: KeepFor,
}

/// How long an entry is of use.
#[derive(Clone, Copy)]
pub(super) enum KeepFor {
    Forever,
    Milliseconds(u64),
    /// Until the end that the entry has already.
    AsBefore,
}

impl KeepFor {
    fn of(entry: &Entry, idle_timeout: Option<Duration>) -> Self {
        match entry.keep_for(idle_timeout) {
            _ if entry.keeps_its_end => Self::AsBefore,
            None => Self::Forever,
            Some(time) => Self::Milliseconds(milliseconds(time).min(LONGEST)),
        }
    }
}

/// An entry, as the database has it.
pub(super) struct SealedEntry {
    /// Identifies the save that wrote the entry.
    pub(super) revision: String,
    pub(super) sealed: Vec<u8>,
    /// How long ago it was saved, by the clock of the database. `None` if that clock was set back since.
    pub(super) age: Option<Duration>,
}

/// The age of an entry whose database measured so many milliseconds since the save.
pub(super) fn age(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// An entry and its key, or why the entry cannot be opened; `None` if there is no entry.
pub(super) type Opened = Result<Option<(StoreKey, StoredEntry)>, StoreError>;

impl RowSettings {
    pub(super) fn new(keys: SealingKeys) -> Self {
        Self {
            keys,
            lease_duration: LEASE_DURATION,
            idle_timeout: None,
            runtime: Arc::new(TokioOrThreads),
        }
    }

    /// The duration of a lease as a number that every database accepts: none keeps a lease of 0 ms.
    pub(super) fn lease_milliseconds(&self) -> u64 {
        milliseconds(self.lease_duration).max(1)
    }

    /// Opens an entry of the row with this id.
    pub(super) fn open(&self, id: &str, entry: &SealedEntry) -> Opened {
        let age = entry.age;
        let opened = self.keys.open(id, &entry.sealed);
        opened.map(|(key, entry)| Some((key, StoredEntry { entry, age })))
    }
}

/// Reads and opens the entry of a row.
pub(super) async fn load(row: &impl Row) -> Result<Option<StoredEntry>, StoreError> {
    let (_, opened) = load_revision(row).await?;
    Ok(opened?.map(|(_, stored)| stored))
}

/// Reads and opens the entry of a row, with its key and its revision.
///
/// The revision is empty if there is no entry. It is known even if the entry cannot be opened.
pub(super) async fn load_revision(row: &impl Row) -> Result<(String, Opened), StoreError> {
    let mut found = load_once(row).await?;
    // Another task may have read or saved a newer state while the reply to this one was on its way.
    for _ in 1..READS {
        if !is_outdated(&found.1) {
            return Ok(found);
        }
        found = load_once(row).await?;
    }
    if is_outdated(&found.1) {
        events::outdated(row.id());
    }
    Ok(found)
}

/// What a list shows of a row. An error of this row alone hides no other.
pub(super) async fn open_for_list(
    row: &impl Row,
) -> Result<Result<Option<(StoreKey, Entry)>, StoreError>, StoreError> {
    let opened = match load_revision(row).await {
        Ok((_, opened)) => opened,
        Err(fault) if fault.kind() == StoreErrorKind::Damaged => Err(fault),
        Err(fault) => return Err(fault),
    };
    Ok(opened.map(|found| found.map(|(key, stored)| (key, stored.entry))))
}

async fn load_once(row: &impl Row) -> Result<(String, Opened), StoreError> {
    let Some(found) = row.read().await? else {
        return Ok((String::new(), Ok(None)));
    };
    let opened = row.settings().open(row.id(), &found);
    Ok((found.revision, opened))
}

pub(super) fn is_outdated(opened: &Opened) -> bool {
    matches!(opened, Err(fault) if fault.kind() == StoreErrorKind::Outdated)
}

/// Takes the lease of a row, and waits for it.
pub(super) async fn lease(
    row: impl Row,
    key: &StoreKey,
    max_wait: Duration,
) -> Result<Box<dyn StoreLease>, StoreError> {
    let lease_id = random_id()?;
    let fence = wait_for_lease(max_wait, LEASE_PAUSES, || row.lease(&lease_id)).await?;
    Ok(Box::new(RowLease::new(row, key.clone(), lease_id, fence)))
}

/// A name for a lease, which no other lease has.
fn random_id() -> Result<String, StoreError> {
    let mut id = [0; 16];
    seal::fill(&mut id).map_err(StoreError::unavailable)?;
    Ok(hex(&id))
}

struct RowLease<R: Row> {
    row: R,
    key: StoreKey,
    /// A random name that tells this lease from all others.
    lease_id: String,
    /// A number that grows with each lease of this entry.
    fence: u64,
    /// The revision of the entry that the next save follows.
    seen: String,
    /// The revision of the last save whose reply was lost. It may have been saved, so the next save may follow it as well.
    tried: String,
    saves: u64,
    extension: AbortHandle,
    is_released: bool,
}

impl<R: Row> RowLease<R> {
    fn new(row: R, key: StoreKey, lease_id: String, fence: u64) -> Self {
        let (extended, id) = (row.clone(), lease_id.clone());
        let kept = async move {
            let duration = extended.settings().lease_duration;
            extension::keep(&SystemClock, duration, || extended.extend(&id)).await;
        };
        let (task, extension) = abortable(kept);
        row.settings().runtime.spawn(Box::pin(task.map(drop)));
        Self {
            row,
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

    /// Writes an entry, unless another process has saved since this one last knew what is there.
    async fn write(
        &self,
        revision: &str,
        sealed: &[u8],
        keep_for: KeepFor,
    ) -> Result<bool, StoreError> {
        let save = Save {
            follows: [&self.seen, &self.tried],
            revision,
            sealed,
            keep_for,
        };
        self.row.write(save).await
    }

    /// The revision of the entry, if it was saved under this lease.
    async fn own_revision(&self) -> Result<Option<String>, StoreError> {
        let found = self.row.read().await?.map(|entry| entry.revision);
        Ok(found.filter(|revision| revision.starts_with(&self.own_revisions())))
    }

    /// How the revisions of all saves under this lease begin.
    fn own_revisions(&self) -> String {
        format!("{}.{}.", self.fence, self.lease_id)
    }
}

impl<R: Row> StoreLease for RowLease<R> {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        Box::pin(async move {
            let (revision, opened) = load_revision(&self.row).await?;
            // Even if the entry cannot be opened: a save that replaces it follows this revision.
            self.seen = revision;
            Ok(opened?.map(|(_, stored)| stored))
        })
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let sealed = self.row.settings().keys.seal(&self.key, entry)?;
            self.saves += 1;
            let revision = format!("{}{}", self.own_revisions(), self.saves);
            // The lease may have expired while this process hung. The server compares revisions in the same step as it
            // writes, so a late save never replaces what another process has saved since.
            let keep_for = KeepFor::of(entry, self.row.settings().idle_timeout);
            let mut written = self.write(&revision, &sealed, keep_for).await;
            // The replies to several saves were lost, and an earlier one than the last was saved.
            if let Ok(false) = written
                && let Some(own) = self.own_revision().await?
            {
                self.seen = own;
                written = self.write(&revision, &sealed, keep_for).await;
            }
            match written {
                Ok(true) => {
                    let keys = &self.row.settings().keys;
                    keys.note_saved(self.key.id(), &sealed);
                    self.seen = revision;
                    Ok(())
                }
                Ok(false) => Err(conflict()),
                Err(fault) => {
                    self.tried = revision;
                    Err(fault)
                }
            }
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(self.row.remove())
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        self.seen.clear();
        Box::pin(self.row.quarantine())
    }

    fn release(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        self.is_released = true;
        Box::pin(end_lease(self.row.clone(), self.lease_id.clone()))
    }
}

/// Ends the lease. If that fails, the lease expires by itself.
async fn end_lease(row: impl Row, lease_id: String) {
    if let Err(fault) = row.release(&lease_id).await {
        tracing::debug!(target: "keyfob", error = %printable(&fault), "the lease of the shared token was not released; it expires by itself");
    }
}

impl<R: Row> Drop for RowLease<R> {
    fn drop(&mut self) {
        self.extension.abort();
        if !self.is_released {
            let task = end_lease(self.row.clone(), self.lease_id.clone());
            self.row.settings().runtime.spawn(Box::pin(task));
        }
    }
}

fn conflict() -> StoreError {
    StoreError::conflict(Error::unavailable(
        "the lease of the shared token expired, and another process has saved since",
    ))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A hundred years, in milliseconds: databases cannot add much longer times to their clock.
const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1000;

/// The default duration of a lease.
pub(super) const LEASE_DURATION: Duration = Duration::from_secs(10);

/// How long to wait before a lease is tried again. It does not grow, because an exchange takes only a few of them.
const LEASE_PAUSES: Backoff = Backoff {
    first: Duration::from_millis(80),
    cap: Duration::from_millis(80),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::clock::Clock;
    use crate::runtime::block_on::block_on;
    use crate::runtime::lock::{Mutex, lock};
    use crate::store::seal::SealingKey;
    use crate::token::token::Token;

    /// What becomes of a command to the server.
    #[derive(Clone, Copy)]
    enum Network {
        Works,
        LosesCommand,
        LosesReply,
    }

    /// A row in memory, and the network to it.
    #[derive(Clone)]
    struct FakeRow {
        settings: RowSettings,
        revision: Arc<Mutex<Option<String>>>,
        network: Arc<Mutex<Network>>,
    }

    impl FakeRow {
        fn new() -> Self {
            let keys = SealingKeys::new(SealingKey::from_bytes([1; 32]));
            Self {
                settings: RowSettings::new(keys),
                revision: Arc::default(),
                network: Arc::new(Mutex::new(Network::Works)),
            }
        }

        fn ask<T>(&self, command: impl FnOnce(&mut Option<String>) -> T) -> Result<T, StoreError> {
            let lost = || Err(StoreError::unusable("no reply"));
            match *lock(&self.network) {
                Network::Works => Ok(command(&mut lock(&self.revision))),
                Network::LosesCommand => lost(),
                Network::LosesReply => {
                    command(&mut lock(&self.revision));
                    lost()
                }
            }
        }
    }

    impl Row for FakeRow {
        fn id(&self) -> &str {
            "id"
        }

        fn settings(&self) -> &RowSettings {
            &self.settings
        }

        async fn read(&self) -> Result<Option<SealedEntry>, StoreError> {
            let revision = self.ask(|revision| revision.clone())?;
            Ok(revision.map(|revision| SealedEntry {
                revision,
                sealed: Vec::new(),
                age: None,
            }))
        }

        async fn lease(&self, _: &str) -> Result<Option<u64>, StoreError> {
            self.ask(|_| Some(1))
        }

        async fn extend(&self, _: &str) -> Result<bool, StoreError> {
            self.ask(|_| true)
        }

        async fn release(&self, _: &str) -> Result<(), StoreError> {
            self.ask(|_| ())
        }

        async fn write(&self, save: Save<'_>) -> Result<bool, StoreError> {
            self.ask(|revision| {
                let may_follow = match revision.as_deref() {
                    Some(found) => found == save.revision || save.follows.contains(&found),
                    None => true,
                };
                if may_follow {
                    *revision = Some(save.revision.to_owned());
                }
                may_follow
            })
        }

        async fn remove(&self) -> Result<bool, StoreError> {
            self.ask(|revision| revision.take().is_some())
        }

        async fn quarantine(&self) -> Result<(), StoreError> {
            self.ask(|revision| *revision = None)
        }
    }

    #[test]
    fn t9_a_save_follows_each_earlier_one_of_its_lease_whose_reply_was_lost() {
        let row = FakeRow::new();
        let key = StoreKey::builder("a").build();
        let now = SystemClock.coarse_time().wall_time();
        let entry = Entry::new(Token::new("t").unwrap(), now);
        block_on(async {
            let mut held = lease(row.clone(), &key, Duration::ZERO).await.unwrap();
            let mut save = async |network| {
                *lock(&row.network) = network;
                held.save(&entry).await.map_err(|fault| fault.kind())
            };
            let lost = Err(StoreErrorKind::Unavailable);
            assert_eq!(save(Network::LosesReply).await, lost);
            assert_eq!(save(Network::LosesCommand).await, lost);
            assert_eq!(save(Network::LosesCommand).await, lost);
            assert_eq!(save(Network::Works).await, Ok(()));
            // That of another lease is not followed.
            *lock(&row.revision) = Some("2.other.1".to_owned());
            let conflict = Err(StoreErrorKind::Conflict);
            assert_eq!(save(Network::Works).await, conflict);
            assert_eq!(save(Network::Works).await, conflict);
        });
    }
}
