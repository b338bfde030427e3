//! Moves an entry to another store, or writes it again in the same one.
//!
//! Both hold the leases of the entry, so that no exchange is under way: otherwise the new refresh token would be lost.

use std::time::Duration;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::error::shown_duration::shown_duration;
use crate::store::entry::{Entry, fingerprint};
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::store::{StoreLease, StoredEntry, TokenStore};
use crate::token::token::Token;

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
/// a refresh token that was used up meanwhile. A token that they have in memory stays in use until it expires. Returns whether there
/// was an entry; one that was moved before is an error that [names its place](StoreError::moved_to). Such a marker in the new store is
/// replaced, so an entry can be moved back.
///
/// If the process ends during this, the entry may be in both stores without a marker, and this can be repeated. But a program that
/// renews one of the two tokens meanwhile uses up the refresh token of the other; then
/// [`move_entry_keeping_newer`] is needed.
///
/// # Errors
///
/// Those of both stores. What was written to the new store is then taken back, unless the marker may be in the old one. And
/// [`StoreErrorKind::Conflict`](crate::store::StoreErrorKind::Conflict) if the new store has another token under this key; it says
/// which of the two is newer. Neither store is changed then.
pub async fn move_entry(
    key: &StoreKey,
    from: &dyn TokenStore,
    to: &dyn TokenStore,
    place: &str,
    max_wait: Duration,
) -> Result<bool, StoreError> {
    move_leased(key, [from, to], place, max_wait, OtherToken::Fails).await
}

/// Moves an entry as [`move_entry`] does. If the new store has another token under this key, the newer one is kept there.
///
/// The newer one is the one that was obtained later. The other one is lost.
///
/// # Errors
///
/// As those of [`move_entry`]; the new store having another token is one only if it is not known which of the two is newer.
pub async fn move_entry_keeping_newer(
    key: &StoreKey,
    from: &dyn TokenStore,
    to: &dyn TokenStore,
    place: &str,
    max_wait: Duration,
) -> Result<bool, StoreError> {
    move_leased(key, [from, to], place, max_wait, OtherToken::KeepNewer).await
}

/// What happens if the new store has another token.
#[derive(Clone, Copy)]
enum OtherToken {
    Fails,
    KeepNewer,
}

/// The store whose entry is in the new one afterwards.
#[derive(Clone, Copy)]
enum Kept {
    Old,
    New,
}

async fn move_leased(
    key: &StoreKey,
    [from, to]: [&dyn TokenStore; 2],
    place: &str,
    max_wait: Duration,
    other_token: OtherToken,
) -> Result<bool, StoreError> {
    let mut old = from.lease(key, max_wait).await?;
    let moved = match to.lease(key, max_wait).await {
        Ok(mut new) => {
            let moved = move_under(&mut *old, &mut *new, place, other_token).await;
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
    other_token: OtherToken,
) -> Result<bool, StoreError> {
    let time = SystemClock.coarse_time().wall_time();
    let Some(entry) = old.load().await?.map(now) else {
        return Ok(false);
    };
    let there = match new.load().await {
        Err(fault) => match fault.moved_to() {
            // It holds no token, so the way back is free.
            Some(place) => Some(Entry::moved(place, time)),
            None => return Err(fault),
        },
        Ok(there) => there.map(now),
    };
    let marker = Entry::moved(place, time);
    if let Kept::New = choose(&entry, there.as_ref(), other_token)? {
        return old.save(&marker).await.map(|()| true);
    }
    // If it is not kept there, the old one must stay.
    let fault = match save_and_check(new, &entry).await {
        Err(fault) => fault,
        Ok(()) => match old.save(&marker).await {
            Ok(()) => return Ok(true),
            Err(fault) if has_no_marker(old, &entry).await => fault,
            // The copy may be all that is left.
            Err(fault) => return Err(fault),
        },
    };
    // Otherwise the copy would be in the way, used up, when this is repeated after a renewal in the old store.
    take_back(new, &entry, there).await;
    Err(fault)
}

/// Which of the two entries is to be kept.
fn choose(
    entry: &Entry,
    there: Option<&Entry>,
    other_token: OtherToken,
) -> Result<Kept, StoreError> {
    let Some(there) = there.filter(|there| there.token().is_some()) else {
        return Ok(Kept::Old);
    };
    if holds_the_same(entry, there) {
        return Ok(Kept::Old);
    }
    if entry.token().is_none() {
        return Ok(Kept::New);
    }
    let obtained = |entry: &Entry| entry.token().and_then(Token::obtained);
    let difference = obtained(entry)
        .zip(obtained(there))
        .filter(|(old, new)| old != new)
        .map(|(old, new)| {
            old.duration_since(new)
                .map_err(|earlier| earlier.duration())
        });
    let (kept, place, time) = match difference {
        Some(Ok(later)) => (Kept::Old, "old", later),
        Some(Err(earlier)) => (Kept::New, "new", earlier),
        None => {
            return Err(StoreError::conflict(Error::unavailable(
                "both stores have a token under this key, and it is not known which one is newer; renew the one to keep",
            )));
        }
    };
    match other_token {
        OtherToken::KeepNewer => Ok(kept),
        OtherToken::Fails => Err(StoreError::conflict(Error::unavailable(format!(
            "both stores have a token under this key, and the one in the {place} store is newer, by {}; \
             `keyfob store migrate --keep-newer` keeps it and drops the other one",
            shown_duration(time)
        )))),
    }
}

/// Whether the old store has no marker although its save failed, and none can arrive late.
async fn has_no_marker(old: &mut dyn StoreLease, entry: &Entry) -> bool {
    match old.load().await {
        // A save that follows it makes a marker that is still on its way conflict.
        Ok(Some(kept)) if holds_the_same(&kept.entry, entry) => old.save(entry).await.is_ok(),
        // Another process has saved since, with the same effect.
        Ok(Some(kept)) => kept.entry.moved.is_none(),
        Ok(None) | Err(_) => false,
    }
}

/// Puts back what was in the new store before the copy, if the copy is still there.
///
/// If that fails, the next run finds the copy, as after a crash.
async fn take_back(new: &mut dyn StoreLease, copy: &Entry, before: Option<Entry>) {
    let Ok(Some(kept)) = new.load().await else {
        return;
    };
    if !holds_the_same(&kept.entry, copy) {
        return;
    }
    _ = match before {
        Some(before) => new.save(&before).await,
        None => new.remove().await.map(drop),
    };
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
mod tests;
