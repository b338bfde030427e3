//! Moves an entry to another store, or writes it again in the same one.
//!
//! Both hold the leases of the entry, so that no exchange is under way: otherwise the new refresh token would be lost.

use std::time::Duration;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::store::entry::{Entry, fingerprint};
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::store::{StoreLease, StoredEntry, TokenStore};

/// Writes an entry again, so that it is sealed with the first of the store's keys.
///
/// It waits for the lease for at most `max_wait`. Returns whether there was an entry.
///
/// # Errors
///
/// Those of the store. The entry is then as it was.
pub async fn seal_again(
    store: &dyn TokenStore,
    key: &StoreKey,
    max_wait: Duration,
) -> Result<bool, StoreError> {
    let mut lease = store.lease(key, max_wait).await?;
    let saved = write_again(&mut *lease).await;
    lease.release().await;
    saved
}

async fn write_again(lease: &mut dyn StoreLease) -> Result<bool, StoreError> {
    match lease.load().await? {
        None => Ok(false),
        Some(found) => {
            let mut entry = now(found);
            // Its program may have another `idle_timeout` than this store.
            entry.keeps_its_end = true;
            lease.save(&entry).await.map(|()| true)
        }
    }
}

/// Moves an entry to another store, while programs use both.
///
/// The old store keeps a marker in place of the entry. Programs that still use it get an error that names `place`, and do not send
/// a refresh token that was used up meanwhile. A token that they have in memory stays in use until it expires. If this is interrupted, it can be
/// repeated: the entry is in both stores then, and is the same. Returns whether there was an entry; one that was moved before is an error
/// that [names its place](StoreError::moved_to). Such a marker in the new store is replaced, so an entry can be moved back.
///
/// # Errors
///
/// Those of both stores; and [`StoreErrorKind::Conflict`](crate::store::StoreErrorKind::Conflict) if the new store has another
/// token under this key. Neither store is changed then.
pub async fn move_entry(
    key: &StoreKey,
    from: &dyn TokenStore,
    to: &dyn TokenStore,
    place: &str,
    max_wait: Duration,
) -> Result<bool, StoreError> {
    let mut old = from.lease(key, max_wait).await?;
    let moved = match to.lease(key, max_wait).await {
        Ok(mut new) => {
            let moved = move_under(&mut *old, &mut *new, place).await;
            new.release().await;
            moved
        }
        Err(fault) => Err(fault),
    };
    old.release().await;
    moved
}

async fn move_under(
    old: &mut dyn StoreLease,
    new: &mut dyn StoreLease,
    place: &str,
) -> Result<bool, StoreError> {
    let Some(found) = old.load().await? else {
        return Ok(false);
    };
    let there = match new.load().await {
        // The marker of a token that was moved away before holds none, so the way back is free.
        Err(fault) if fault.moved_to().is_some() => None,
        there => there?,
    };
    if there.is_some_and(|there| !holds_the_same(&there.entry, &found.entry)) {
        return Err(StoreError::conflict(Error::unavailable(
            "the other store has another token under this key; decide which is the newer one, and forget the other",
        )));
    }
    let entry = now(found);
    // If it is not kept there, the old one must stay.
    save_and_check(new, &entry).await?;
    let marker = Entry::moved(place, SystemClock.coarse_time().wall_time());
    old.save(&marker).await.map(|()| true)
}

/// Saves an entry, and fails if the store does not have it then: a store may drop a token that it does not want to keep.
async fn save_and_check(lease: &mut dyn StoreLease, entry: &Entry) -> Result<(), StoreError> {
    lease.save(entry).await?;
    let kept = lease.load().await?;
    match kept.is_some_and(|kept| holds_the_same(&kept.entry, entry)) {
        true => Ok(()),
        false => Err(StoreError::unusable(
            "the store did not keep the token; a profile whose tokens may have no expiry stores only those with one",
        )),
    }
}

/// Puts an entry into a store that has none under this key. Returns whether it did; `false` if the store has one.
///
/// # Errors
///
/// Those of the store, and one that says so if the store did not keep the entry.
pub async fn import_entry(
    store: &dyn TokenStore,
    key: &StoreKey,
    entry: Entry,
    max_wait: Duration,
) -> Result<bool, StoreError> {
    let mut lease = store.lease(key, max_wait).await?;
    let imported = match lease.load().await {
        Ok(Some(_)) => Ok(false),
        Ok(None) => {
            let entry = now(StoredEntry { entry, age: None });
            save_and_check(&mut *lease, &entry).await.map(|()| true)
        }
        Err(fault) => Err(fault),
    };
    lease.release().await;
    imported
}

/// The entry, as it is saved at this moment by the clock of this machine.
fn now(found: StoredEntry) -> Entry {
    found.at(SystemClock.coarse_time().wall_time())
}

/// Whether both entries hold the same tokens.
fn holds_the_same(one: &Entry, other: &Entry) -> bool {
    let tokens = |entry: &Entry| {
        entry.token().map(|token| {
            let refresh = token.refresh_token().map(fingerprint);
            (fingerprint(token.expose()), refresh)
        })
    };
    tokens(one) == tokens(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on::block_on;
    use crate::store::error::StoreErrorKind;
    use crate::store::file::FileStore;
    use crate::token::token::{Expiry, Token};

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> StoreKey {
        StoreKey::builder("a").build()
    }

    fn entry(number: u32) -> Entry {
        let token = Token::new(format!("token-{number}")).unwrap();
        let token = token.with_refresh_token(format!("refresh-{number}"));
        Entry::new(
            token.unwrap().expires_in(SECOND * 100),
            SystemClock.coarse_time().wall_time(),
        )
    }

    fn stores() -> (tempfile::TempDir, FileStore, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = |name: &str| FileStore::new(folder.path().join(name));
        let (old, new) = (store("old"), store("new"));
        (folder, old, new)
    }

    async fn move_all(old: &FileStore, new: &FileStore) -> Result<bool, StoreError> {
        move_entry(&key(), old, new, "the new store", SECOND).await
    }

    #[test]
    fn t9_a_moved_entry_is_in_the_new_store_and_the_old_one_says_so() {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            assert!(move_all(&old, &new).await.unwrap());
            let moved = new.load(&key()).await.unwrap().unwrap().entry;
            assert!(holds_the_same(&moved, &entry(1)));
            // Neither a program nor a sign-in continues with the old store.
            let fault = old.load(&key()).await.unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
            assert!(fault.to_string().contains("the new store"), "{fault}");
            let replaced = old.replace(&key(), &entry(2), SECOND).await;
            assert_eq!(replaced.unwrap_err().to_string(), fault.to_string());
            assert!(old.list().await.unwrap()[0].unreadable.is_some());
            // A second run changes nothing.
            let fault = move_all(&old, &new).await.unwrap_err();
            assert_eq!(fault.moved_to(), Some("the new store"));
            assert!(old.forget(&key(), SECOND).await.unwrap());
            assert!(!move_all(&old, &new).await.unwrap());
        });
    }

    #[test]
    fn t9_a_moved_entry_can_be_moved_back() {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            for (from, to) in [(&old, &new), (&new, &old)] {
                assert!(move_all(from, to).await.unwrap());
                let moved = to.load(&key()).await.unwrap().unwrap().entry;
                assert!(holds_the_same(&moved, &entry(1)));
                assert!(from.load(&key()).await.unwrap_err().moved_to().is_some());
            }
        });
    }

    #[test]
    fn t9_a_move_that_was_interrupted_can_be_repeated() {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            new.replace(&key(), &entry(1), SECOND).await.unwrap();
            assert!(move_all(&old, &new).await.unwrap());
        });
    }

    #[test]
    fn t9_another_token_in_the_new_store_is_not_replaced() {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            new.replace(&key(), &entry(2), SECOND).await.unwrap();
            let fault = move_all(&old, &new).await.unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Conflict);
            for (store, number) in [(&old, 1), (&new, 2)] {
                let kept = store.load(&key()).await.unwrap().unwrap().entry;
                assert!(holds_the_same(&kept, &entry(number)));
            }
        });
    }

    #[test]
    fn t9_an_entry_in_an_exchange_is_not_moved() {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            let held = old.lease(&key(), SECOND).await.unwrap();
            let short = Duration::from_millis(20);
            let fault = move_entry(&key(), &old, &new, "n", short)
                .await
                .unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Busy);
            held.release().await;
            assert!(new.load(&key()).await.unwrap().is_none());
        });
    }

    #[test]
    fn t6_an_entry_that_is_written_again_expires_when_it_did_before() {
        let saved = SystemClock.coarse_time().wall_time() - SECOND * 60;
        let mut old = entry(1).rebase(saved, None);
        old.saved = saved;
        let expires = |entry: &Entry| match entry.token().unwrap().expires() {
            Expiry::At(time) => time,
            other => panic!("{other:?}"),
        };
        let before = expires(&old);
        // The database measured its age, and measures it anew from the next save.
        let age = Some(SECOND * 60);
        let again = now(StoredEntry { entry: old, age });
        let after =
            expires(&again.rebase(SystemClock.coarse_time().wall_time(), Some(Duration::ZERO)));
        let difference = after
            .duration_since(before)
            .unwrap_or_else(|error| error.duration());
        assert!(difference < SECOND, "{difference:?}");
    }
}
