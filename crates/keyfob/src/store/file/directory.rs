//! Reads, replaces and locks the files of a store. Everything here blocks its thread.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::{fs, io};

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::observe::store as events;
use crate::store::entry::Entry;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::file::lease::{Entries, Lock};
use crate::store::file::owner;
use crate::store::key::StoreKey;
use crate::store::seal::{READS, SealingKeys};
use crate::store::store::{EntrySummary, quarantined, summarize};
use crate::store::{record, seal};

/// A directory with two files for each entry: the entry and its lock.
#[derive(Clone, Debug)]
pub(in crate::store) struct Directory {
    pub(super) path: PathBuf,
    pub(super) keys: Option<SealingKeys>,
    /// How long an entry with a refresh token is kept that nothing saves again; forever unless set.
    pub(super) idle_timeout: Option<Duration>,
    /// When files that are of no use are next looked for, on the clock that measures how long the process has run, in nanoseconds.
    pub(super) next_sweep: Arc<AtomicU64>,
}

impl Directory {
    /// Takes the lock of this key; `None` if another task or process has it.
    pub(super) fn lock(&self, id: &str) -> Result<Option<Lock>, StoreError> {
        owner::create_directory(&self.path)
            .map_err(|fault| cannot("created", &self.path, fault))?;
        // A directory that was there before may be open to others.
        self.check()?;
        let path = self.file(id, LOCK);
        let file = owner::options()
            .read(true)
            .write(true)
            .create(true)
            .open(&path);
        let lock = file
            .and_then(|file| checked(file, &path))
            .and_then(|file| Lock::try_new(file, &path));
        lock.map_err(|fault| cannot("locked", &path, fault))
    }

    pub(super) fn list(&self) -> Result<Vec<EntrySummary>, StoreError> {
        let mut ids = self.ids(ENTRY)?;
        for kind in LEFT_BEHIND {
            ids.extend(self.ids(kind)?);
        }
        if ids.is_empty() {
            // A store that was never written has no directory to check.
            return Ok(Vec::new());
        }
        // Once for all entries, which would all be refused.
        self.check()?;
        ids.sort();
        ids.dedup();
        let found = ids.into_iter().map(|id| {
            let found = match self.read_id(&id) {
                Ok(None) if self.is_left_behind(&id) => Err(quarantined()),
                found => found,
            };
            (id, found)
        });
        Ok(summarize(found))
    }

    /// Removes the lock file of this id, whose lock the caller holds, if no entry needs it.
    ///
    /// A process that waits for the lock finds that the file is not the one at its place any more, and creates another one.
    pub(super) fn remove_lock_without_entry(&self, id: &str, lock: &Lock) {
        if self.is_without_entry(id) {
            lock.remove(&self.file(id, LOCK));
        }
    }

    /// Whether there is nothing of an entry with this id, neither here nor in a keyring.
    pub(super) fn is_without_entry(&self, id: &str) -> bool {
        let kinds = [ENTRY, ELSEWHERE].into_iter().chain(LEFT_BEHIND);
        let mut files = kinds.map(|kind| fs::symlink_metadata(self.file(id, kind)));
        // What cannot be looked for may be there.
        files.all(|found| matches!(if_present(found), Ok(None)))
    }

    /// Notes that an entry with this id is not in the directory but in a keyring, which cannot list what it has.
    pub(in crate::store) fn note_elsewhere(&self, id: &str) -> Result<(), StoreError> {
        let path = self.file(id, ELSEWHERE);
        let options = owner::options().write(true).create(true).open(&path);
        options
            .and_then(|file| checked(file, &path))
            .map(drop)
            .map_err(|fault| cannot("written", &path, fault))
    }

    /// Removes that note.
    pub(in crate::store) fn forget_elsewhere(&self, id: &str) -> Result<(), StoreError> {
        self.change(&self.file(id, ELSEWHERE), |path| fs::remove_file(path))
            .map(drop)
    }

    /// Whether a file of this id that is no entry was left behind. A file that is being written now has its lock taken.
    fn is_left_behind(&self, id: &str) -> bool {
        let has_any = LEFT_BEHIND.iter().any(|kind| self.file(id, kind).exists());
        has_any && matches!(self.lock(id), Ok(Some(_)))
    }

    /// The ids of all files of this kind.
    pub(in crate::store) fn ids(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        let cannot_read = |fault| cannot("read", &self.path, fault);
        let Some(files) = if_present(fs::read_dir(&self.path)).map_err(cannot_read)? else {
            return Ok(Vec::new());
        };
        let mut ids = Vec::new();
        for file in files {
            let name = file.map_err(cannot_read)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(kind));
            ids.extend(id.map(str::to_owned));
        }
        // Damaged entries all have the same label, so their order is that of the ids.
        ids.sort();
        Ok(ids)
    }

    fn decode(&self, id: &str, bytes: &[u8]) -> Result<(StoreKey, Entry), StoreError> {
        // Also read with keys, so that a store with plain entries can be sealed later.
        if !seal::is_sealed(bytes) {
            return record::decode(bytes);
        }
        let Some(keys) = &self.keys else {
            return Err(StoreError::unreadable(
                "the stored token is sealed, and the store has no key; give it the sealing key",
            ));
        };
        keys.open(id, bytes)
    }

    /// Reads a file that is no entry and holds no secret.
    pub(super) fn read_note(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read_file(&self.file(id, NOTE))
    }

    /// Replaces a file that is no entry, or removes it.
    pub(super) fn write_note(&self, id: &str, text: Option<&str>) -> Result<(), StoreError> {
        let path = self.file(id, NOTE);
        let Some(text) = text else {
            let removed = if_present(fs::remove_file(&path)).map(drop);
            return removed.map_err(|fault| cannot("removed", &path, fault));
        };
        owner::create_directory(&self.path)
            .map_err(|fault| cannot("created", &self.path, fault))?;
        self.check()?;
        // Processes that write at the same time write the same, and a reader that finds a part of it reads it as nothing.
        self.write_file(&self.file(id, NEW_NOTE), &path, text.as_bytes())
    }

    fn read_file(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let cannot_read = |fault| cannot("read", path, fault);
        let file = if_present(owner::options().read(true).open(path)).map_err(cannot_read)?;
        let Some(file) = file else {
            return Ok(None);
        };
        // After the open, because a store that was never written has no directory to check.
        self.check()?;
        let bytes = checked(file, path).and_then(read_whole);
        bytes.map(Some).map_err(cannot_read)
    }

    /// Writes a file completely or not at all.
    fn write_file(&self, new: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        // A rename replaces the file at once. Syncing the directory makes the rename survive a crash.
        let written = write_new(new, bytes)
            .and_then(|()| fs::rename(new, path))
            .and_then(|()| owner::sync(&self.path));
        written.map_err(|fault| {
            // The incomplete file is of no use. If it stays, the next write replaces it.
            let _ = fs::remove_file(new);
            cannot("written", path, fault)
        })
    }

    /// Removes or renames a file. Returns whether there was one.
    fn change(
        &self,
        path: &Path,
        change: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<bool, StoreError> {
        let changed = if_present(change(path).and_then(|()| owner::sync(&self.path)));
        let changed = changed.map_err(|fault| cannot("removed", path, fault))?;
        Ok(changed.is_some())
    }

    /// Refuses a directory in which other users could create files or links (S2).
    fn check(&self) -> Result<(), StoreError> {
        // Not through a link: anyone who can change the link decides where the tokens are.
        let found = fs::symlink_metadata(&self.path);
        let found = found.map_err(|fault| cannot("read", &self.path, fault))?;
        let objection = match found.is_dir() {
            true => owner::objection(&found),
            false => Some("is a symbolic link or no directory; name the directory itself"),
        };
        match objection {
            None => Ok(()),
            Some(why) => Err(refused(&self.path, why)),
        }
    }

    fn read_once(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
        let path = self.file(id, ENTRY);
        let Some(bytes) = self.read_file(&path)? else {
            return Ok(None);
        };
        let found = self.decode(id, &bytes);
        found.map(Some).map_err(|fault| named(fault, &path))
    }

    pub(super) fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.path.join(format!("{id}{kind}"))
    }
}

impl Entries for Directory {
    fn read_id(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
        let is_outdated = |found: &Result<_, StoreError>| matches!(found, Err(fault) if fault.kind() == StoreErrorKind::Outdated);
        let mut found = self.read_once(id);
        // Another thread may have read or saved a newer state meanwhile.
        for _ in 1..READS {
            if !is_outdated(&found) {
                return found;
            }
            found = self.read_once(id);
        }
        if is_outdated(&found) {
            events::outdated(id);
        }
        found
    }

    fn write(&self, key: &StoreKey, entry: &Entry) -> Result<(), StoreError> {
        let bytes = match &self.keys {
            Some(keys) => Zeroizing::new(keys.seal(key, entry)?),
            None => record::encode(key, entry),
        };
        let (new, path) = (self.file(key.id(), NEW), self.file(key.id(), ENTRY));
        self.write_file(&new, &path, &bytes)?;
        if let Some(keys) = &self.keys {
            keys.note_saved(key.id(), &bytes);
        }
        Ok(())
    }

    fn remove(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let mut removed = false;
        for kind in [ENTRY].iter().chain(&LEFT_BEHIND) {
            removed |= self.change(&self.file(key.id(), kind), |path| fs::remove_file(path))?;
        }
        Ok(removed)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<(), StoreError> {
        // Renamed and not removed, because a person may still find a refresh token in it.
        let aside = self.file(key.id(), BAD);
        self.change(&self.file(key.id(), ENTRY), |path| fs::rename(path, aside))
            .map(drop)
    }
}

/// `None` if there is no such file or directory.
fn if_present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Writes a new file to the disk. The caller holds the lock, so a file with this name is left over from a crash.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // `create_new` never opens a file that another process prepared under this name.
    let create = || owner::options().write(true).create_new(true).open(path);
    let mut file = match create() {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        created => created?,
    };
    file.write_all(bytes)?;
    // Before the rename: after a crash, the name could otherwise lead to a file without its content.
    file.sync_all()
}

/// Checks that this is a regular file that other users cannot read or change.
fn checked(file: File, path: &Path) -> io::Result<File> {
    // The open file and not its path, which may lead to another file by now.
    let found = file.metadata()?;
    let objection = match found.is_file() {
        true => owner::objection(&found),
        false => Some("is not a file"),
    };
    match objection {
        None => Ok(file),
        Some(why) => Err(io::Error::other(refused(path, why))),
    }
}

fn read_whole(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // A buffer that grows leaves a copy behind that is not wiped, so it starts with room for any usual entry.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cannot(what: &str, path: &Path, fault: io::Error) -> StoreError {
    match fault.downcast::<StoreError>() {
        Ok(refused) => refused,
        Err(fault) => StoreError::unavailable(
            Error::unavailable(format!(
                "the token store's {} cannot be {what}",
                path.display()
            ))
            .caused_by(fault),
        ),
    }
}

fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::unusable(format!("the token store's {} {why}", path.display()))
}

/// The same error, with the path of the file.
fn named(fault: StoreError, path: &Path) -> StoreError {
    fault.with_message(format!("{}: {}", fault.error(), path.display()))
}

pub(super) const ENTRY: &str = ".token";
/// The lock file of a key. It is not the entry itself, which each write replaces by another file. Only a process that has locked it
/// removes it, and only if there is no entry.
pub(in crate::store) const LOCK: &str = ".lock";
/// An empty file for each entry that is not in this directory but in the keyring.
pub(in crate::store) const ELSEWHERE: &str = ".keyring";
const NEW: &str = ".new";
const BAD: &str = ".bad";
/// A file that is no entry.
const NOTE: &str = ".note";
const NEW_NOTE: &str = ".note-new";

/// Files that may hold a token and are no entries: a damaged one, and one that a crash left incomplete.
const LEFT_BEHIND: [&str; 2] = [BAD, NEW];

/// More than any entry needs. A longer file is cut, and so its entry is damaged.
const LIMIT: u64 = 4 * 1024 * 1024;
