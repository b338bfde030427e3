use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::*;
use crate::runtime::block_on::block_on;
use crate::store::error::StoreErrorKind;
use crate::store::file::FileStore;
use crate::store::store::StoreFuture;
use crate::token::token::Expiry;

const SECOND: Duration = Duration::from_secs(1);

fn key() -> StoreKey {
    StoreKey::builder("a").build()
}

fn entry(number: u32) -> Entry {
    let token = Token::new(format!("token-{number}")).unwrap();
    let token = token.with_refresh_token(format!("refresh-{number}"));
    let token = token.unwrap().expires_in(SECOND * 100);
    Entry::new(
        token.obtained_at(obtained(number)),
        SystemClock.coarse_time().wall_time(),
    )
}

/// Tokens with higher numbers are newer.
fn obtained(number: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + SECOND * (1_700_000_000 + number)
}

async fn holds(store: &FileStore, number: u32) -> bool {
    let stored = store.load(&key()).await.unwrap().unwrap();
    holds_the_same(&stored.entry, &entry(number))
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

async fn move_newer(old: &FileStore, new: &FileStore) -> Result<bool, StoreError> {
    move_entry_keeping_newer(&key(), old, new, "the new store", SECOND).await
}

/// What becomes of the marker in the old store.
enum Marker {
    /// Another process has saved this entry, once.
    Conflicts(Option<Box<Entry>>),
    IsRefused,
    ReplyIsLost,
    /// No later save is possible.
    IsLate,
}

struct Marked(Box<dyn StoreLease>, Marker);

impl StoreLease for Marked {
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
        self.0.load()
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            match &mut self.1 {
                Marker::Conflicts(another) => match another.take() {
                    Some(another) => self.0.save(&another).await?,
                    None => return self.0.save(entry).await,
                },
                Marker::IsRefused if entry.moved.is_none() => return self.0.save(entry).await,
                Marker::ReplyIsLost => self.0.save(entry).await?,
                Marker::IsRefused | Marker::IsLate => {}
            }
            Err(StoreError::conflict(Error::unavailable("not saved")))
        })
    }

    fn remove(&mut self) -> StoreFuture<'_, bool> {
        self.0.remove()
    }

    fn quarantine(&mut self) -> StoreFuture<'_, ()> {
        self.0.quarantine()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.0.release()
    }
}

async fn move_to_marked(
    from: &FileStore,
    marker: Marker,
    to: &FileStore,
) -> Result<bool, StoreError> {
    let old = from.lease(&key(), SECOND).await.unwrap();
    let mut new = to.lease(&key(), SECOND).await.unwrap();
    let mut old = Marked(old, marker);
    move_under(&mut old, &mut *new, "there", OtherToken::Fails).await
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

/// As after a move that was interrupted, and a renewal that followed it in one of the stores.
#[test]
fn t9_of_two_different_tokens_the_newer_one_can_be_kept() {
    for (newer, other, place) in [(2, 1, "old"), (1, 2, "new")] {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(newer), SECOND).await.unwrap();
            new.replace(&key(), &entry(other), SECOND).await.unwrap();
            let fault = move_all(&old, &new).await.unwrap_err().to_string();
            let newest = format!("the one in the {place} store is newer, by 1 s");
            assert!(fault.contains(&newest), "{fault}");
            assert!(holds(&old, newer).await && holds(&new, other).await);
            assert!(move_newer(&old, &new).await.unwrap());
            assert!(holds(&new, 2).await);
            let fault = old.load(&key()).await.unwrap_err();
            assert_eq!(fault.moved_to(), Some("the new store"));
        });
    }
}

#[test]
fn t9_of_two_tokens_of_one_time_none_is_dropped() {
    let (_folder, old, new) = stores();
    block_on(async {
        let token = Token::new("another").unwrap().obtained_at(obtained(1));
        let another = Entry::new(token, obtained(1));
        old.replace(&key(), &entry(1), SECOND).await.unwrap();
        new.replace(&key(), &another, SECOND).await.unwrap();
        let fault = move_newer(&old, &new).await.unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Conflict);
        assert!(fault.to_string().contains("not known which one"), "{fault}");
        assert!(holds(&old, 1).await);
    });
}

#[test]
fn t9_an_entry_without_a_token_is_in_the_way_of_none() {
    let empty = || Entry::empty(SystemClock.coarse_time().wall_time());
    for (from, to) in [(entry(1), empty()), (empty(), entry(1))] {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &from, SECOND).await.unwrap();
            new.replace(&key(), &to, SECOND).await.unwrap();
            assert!(move_all(&old, &new).await.unwrap());
            assert!(holds(&new, 1).await);
        });
    }
}

#[test]
fn t9_a_copy_does_not_stay_if_its_marker_cannot_be_saved() {
    let another = Some(Box::new(entry(2)));
    for (saves, left) in [(Marker::Conflicts(another), 2), (Marker::IsRefused, 1)] {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            let fault = move_to_marked(&old, saves, &new).await.unwrap_err();
            assert_eq!(fault.kind(), StoreErrorKind::Conflict);
            assert!(holds(&old, left).await);
            assert!(new.load(&key()).await.unwrap().is_none());
            assert!(move_all(&old, &new).await.unwrap());
            // On the way back, the marker that was there returns.
            let fault = move_to_marked(&new, Marker::IsRefused, &old).await;
            assert!(fault.unwrap_err().moved_to().is_none());
            let fault = old.load(&key()).await.unwrap_err();
            assert_eq!(fault.moved_to(), Some("the new store"));
            assert!(holds(&new, left).await);
        });
    }
}

#[test]
fn t9_a_copy_stays_if_its_marker_may_have_been_saved() {
    for marker in [Marker::ReplyIsLost, Marker::IsLate] {
        let (_folder, old, new) = stores();
        block_on(async {
            old.replace(&key(), &entry(1), SECOND).await.unwrap();
            move_to_marked(&old, marker, &new).await.unwrap_err();
            assert!(holds(&new, 1).await);
        });
    }
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
    let after = expires(&again.rebase(SystemClock.coarse_time().wall_time(), Some(Duration::ZERO)));
    let difference = after
        .duration_since(before)
        .unwrap_or_else(|error| error.duration());
    assert!(difference < SECOND, "{difference:?}");
}
