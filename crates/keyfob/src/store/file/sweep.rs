//! Removes the files of entries that are of no use any more.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::store::entry::{Entry, KEPT_AFTER_EXPIRY};
use crate::store::file::directory::{Directory, ENTRY, LOCK};
use crate::store::file::lease::Entries;

/// Looks for files that are of no use, at most once an hour for all clones of a directory.
pub(super) fn run_if_due(directory: &Directory) {
    if is_due(&directory.next_sweep) {
        run(directory);
    }
}

fn is_due(next_sweep: &AtomicU64) -> bool {
    let now = SystemClock.coarse_time().monotonic;
    let next = next_sweep.load(Ordering::Relaxed);
    let later = now.saturating_add(INTERVAL.as_nanos() as u64);
    let order = Ordering::Relaxed;
    now >= next
        && next_sweep
            .compare_exchange(next, later, order, order)
            .is_ok()
}

/// Removes the files of entries that nothing needs, and lock files without an entry, of processes that were killed. What cannot be
/// read or locked stays.
fn run(directory: &Directory) {
    let now = SystemClock.coarse_time().wall_time();
    for id in directory.ids(ENTRY).unwrap_or_default() {
        // Most entries are younger, and need not be opened.
        if is_old(directory, &id, now) {
            remove(directory, &id, now);
        }
    }
    for id in directory.ids(LOCK).unwrap_or_default() {
        if directory.is_without_entry(&id)
            && let Ok(Some(lock)) = directory.lock(&id)
        {
            directory.remove_lock_without_entry(&id, &lock);
        }
    }
}

fn remove(directory: &Directory, id: &str, now: SystemTime) {
    let idle_timeout = directory.idle_timeout;
    // A damaged entry stays, so that a person can look at it.
    let is_of_no_use = || matches!(directory.read_id(id), Ok(Some((_, entry))) if is_over(&entry, idle_timeout, now));
    if !is_of_no_use() {
        return;
    }
    // Asked again under the lock, because another process may have saved meanwhile.
    let Ok(Some(lock)) = directory.lock(id) else {
        return;
    };
    if is_of_no_use() {
        let _ = fs::remove_file(directory.file(id, ENTRY));
        directory.remove_lock_without_entry(id, &lock);
    }
}

fn is_over(entry: &Entry, idle_timeout: Option<Duration>, now: SystemTime) -> bool {
    let end = entry
        .keep_for(idle_timeout)
        .and_then(|time| entry.saved().checked_add(time));
    end.is_some_and(|end| end <= now)
}

/// Whether the file was written long enough ago that its entry may be of no use.
fn is_old(directory: &Directory, id: &str, now: SystemTime) -> bool {
    let least = directory.idle_timeout.unwrap_or(KEPT_AFTER_EXPIRY);
    let written =
        fs::symlink_metadata(directory.file(id, ENTRY)).and_then(|found| found.modified());
    written.is_ok_and(|written| {
        now.duration_since(written)
            .is_ok_and(|age| age >= least.min(KEPT_AFTER_EXPIRY))
    })
}

/// How often a process looks.
const INTERVAL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on::block_on;
    use crate::store::file::FileStore;
    use crate::store::file::owner;
    use crate::store::key::StoreKey;
    use crate::store::store::TokenStore;
    use crate::token::token::Token;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn key(name: &str) -> StoreKey {
        StoreKey::builder(name).build()
    }

    /// A store with an entry of this name. It was saved this number of days ago, with a token that lives an hour.
    fn save(store: &FileStore, name: &str, days: u32, refresh_token: Option<&str>) {
        let saved = SystemClock.coarse_time().wall_time() - DAY * days;
        let mut token = Token::new("t").unwrap().expires_in(DAY / 24);
        if let Some(text) = refresh_token {
            token = token.with_refresh_token(text).unwrap();
        }
        let key = key(name);
        let directory = &store.directory;
        let lock = directory.lock(key.id()).unwrap();
        directory.write(&key, &Entry::new(token, saved)).unwrap();
        for kind in [ENTRY, LOCK] {
            let file = fs::File::options()
                .write(true)
                .open(directory.file(key.id(), kind));
            file.unwrap().set_modified(saved).unwrap();
        }
        drop(lock);
    }

    fn files(store: &FileStore) -> [Vec<String>; 2] {
        [ENTRY, LOCK].map(|kind| store.directory.ids(kind).unwrap())
    }

    fn ids(names: &[&str]) -> Vec<String> {
        let mut ids: Vec<_> = names.iter().map(|name| key(name).id().to_owned()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn t10_files_of_no_use_go_and_a_refresh_token_stays_for_the_time_that_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("store"));
        save(&store, "expired", 2, None);
        save(&store, "recent", 1, None);
        save(&store, "signed in", 90, Some("r"));
        run(&store.directory);
        let kept = ids(&["recent", "signed in"]);
        assert_eq!(files(&store)[0], kept);
        #[cfg(unix)]
        assert_eq!(files(&store)[1], kept);
        let bounded = store.clone().idle_timeout(DAY * 100);
        run(&bounded.directory);
        assert_eq!(files(&store)[0], kept);
        let bounded = store.clone().idle_timeout(DAY * 30);
        let held = store.directory.lock(key("signed in").id()).unwrap();
        run(&bounded.directory);
        assert_eq!(files(&store)[0], kept, "its lease is held");
        drop(held);
        run(&bounded.directory);
        assert_eq!(files(&store)[0], ids(&["recent"]));
    }

    #[cfg(unix)]
    #[test]
    fn t10_the_lock_file_of_a_process_that_was_killed_goes_unless_an_entry_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("store"));
        let directory = &store.directory;
        let lock = |name: &str| directory.lock(key(name).id()).unwrap();
        for name in ["killed", "in the keyring"] {
            drop(lock(name));
        }
        directory
            .note_elsewhere(key("in the keyring").id())
            .unwrap();
        let held = lock("held");
        run(directory);
        assert_eq!(files(&store)[1], ids(&["in the keyring", "held"]));
        drop(held);
        assert!(!block_on(store.forget(&key("another"), DAY)).unwrap());
        assert_eq!(files(&store)[1], ids(&["in the keyring"]));
    }

    #[test]
    fn t9_a_process_that_waited_for_a_removed_lock_file_gets_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("store"));
        let (id, directory) = (key("a").id().to_owned(), &store.directory);
        let first = directory.lock(&id).unwrap().expect("it is free");
        // Opened before the file was removed, and locked after that.
        let late = owner::options()
            .read(true)
            .write(true)
            .open(directory.file(&id, LOCK));
        owner::remove_lock(&directory.file(&id, LOCK)).unwrap();
        drop(first);
        let path = directory.file(&id, LOCK);
        let late = crate::store::file::lease::Lock::try_new(late.unwrap(), &path).unwrap();
        assert_eq!(late.is_some(), cfg!(not(unix)));
        drop(late);
        assert!(directory.lock(&id).unwrap().is_some());
    }

    #[test]
    fn t10_a_save_looks_for_files_of_no_use_once_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path().join("store"));
        save(&store, "expired", 3, None);
        let entry = || {
            Entry::new(
                Token::new("t").unwrap(),
                SystemClock.coarse_time().wall_time(),
            )
        };
        let saved = |name: &str| block_on(store.replace(&key(name), &entry(), DAY)).unwrap();
        saved("a");
        let end = SystemClock.elapsed() + Duration::from_secs(60);
        while files(&store)[0] != ids(&["a"]) {
            assert!(SystemClock.elapsed() < end, "it did not go");
            std::thread::yield_now();
        }
        assert!(!is_due(&store.directory.next_sweep));
    }
}
