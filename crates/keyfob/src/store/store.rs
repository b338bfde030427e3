//! Where a token is kept so that it outlives a process, and is shared by many.
//!
//! A store keeps one [`Entry`] for each [`StoreKey`]. Anybody may read it at any time; only who holds the [lease](StoreLease)
//! of a key may write. [`Persisted`](crate::source::Persisted) puts a store before a source.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::error::error::ErrorKind;
use crate::store::entry::{Entry, Failure, PendingExchange};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::StoreKey;
use crate::token::token::{Expiry, Token};

/// A place where tokens are kept, shared by tasks, processes or machines.
///
/// All methods may be called from many tasks at once, and any future may be dropped: a dropped save has either been
/// done whole or not at all. Errors and logs hold no secret. What is kept where others can read it is
/// [sealed](crate::store::SealingKeys).
pub trait TokenStore: Send + Sync + 'static {
    /// Reads an entry without waiting for anybody's lease; `None` if there is none.
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>>;

    /// Waits until nobody else holds the lease of this key, so long at most.
    ///
    /// It ends when it is [released](StoreLease::release) or dropped, and when its process dies.
    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>>;

    /// All entries, without their secrets.
    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>>;

    /// Whether a lease may end while its holder lives, because it stood still or was not heard for too long.
    fn leases_expire(&self) -> bool {
        false
    }

    /// Removes an entry, damaged or not, when no exchange is under way; says whether there was one.
    fn forget<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut lease = self.lease(key, max_wait).await?;
            let removed = lease.remove().await;
            lease.release().await;
            removed
        })
    }

    /// Puts an entry in place of whatever is there, as after a sign-in, when no exchange is under way.
    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        entry: &'a Entry,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut lease = self.lease(key, max_wait).await?;
            let saved = replace_under(&mut *lease, entry).await;
            lease.release().await;
            saved
        })
    }
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        (**self).load(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        (**self).lease(key, max_wait)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        (**self).list()
    }

    fn leases_expire(&self) -> bool {
        (**self).leases_expire()
    }

    fn forget<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).forget(key, max_wait)
    }

    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        entry: &'a Entry,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).replace(key, entry, max_wait)
    }
}

/// The right to write one entry, as long as it lives.
///
/// Where leases [can lapse](TokenStore::leases_expire), a save succeeds only if nobody has saved since this lease
/// last loaded or saved.
pub trait StoreLease: Send + Sync {
    /// Reads the entry.
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>>;

    /// Writes the entry, and completes when it would survive a crash of whatever keeps it.
    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the entry; says whether there was one.
    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Moves a damaged entry out of the way, and keeps it where a person can look at it.
    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the lease, and lets the next one know.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// An entry as it was read.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// What was read.
    pub entry: Entry,
    /// How long ago it was saved, if the store measures that with a clock of its own.
    pub age: Option<Duration>,
}

/// An entry of a store, without its secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntrySummary {
    /// Which one it is; of one that cannot be read only the [`id`](StoreKey::id) is known.
    pub key: StoreKey,
    /// When its token ends, if that is known.
    pub expires: Option<SystemTime>,
    /// When its token was got.
    pub obtained: Option<SystemTime>,
    /// Whether it has a token at all.
    pub has_token: bool,
    /// Whether it has a refresh token.
    pub has_refresh_token: bool,
    /// When an exchange began whose answer is not known yet.
    pub exchange_started: Option<SystemTime>,
    /// What the last exchange failed of, if that is still remembered.
    pub last_error: Option<ErrorKind>,
    /// Why it cannot be read.
    pub unreadable: Option<StoreError>,
}

impl EntrySummary {
    /// An entry that could be read, for a store of your own.
    #[must_use]
    pub fn of(key: StoreKey, entry: &Entry) -> Self {
        let token = entry.token();
        let expires = match token.map(Token::expires) {
            Some(Expiry::At(time)) => Some(time),
            _ => None,
        };
        Self {
            key,
            expires,
            obtained: token.and_then(Token::obtained),
            has_token: token.is_some(),
            has_refresh_token: token.is_some_and(|token| token.refresh_token().is_some()),
            exchange_started: entry.pending_exchange().map(PendingExchange::started),
            last_error: entry.failure.as_ref().map(Failure::kind),
            unreadable: None,
        }
    }

    /// An entry that could not be read.
    #[must_use]
    pub fn unreadable(id: impl Into<String>, error: StoreError) -> Self {
        Self {
            key: StoreKey::found(id.into(), "unknown".to_owned()),
            expires: None,
            obtained: None,
            has_token: false,
            has_refresh_token: false,
            exchange_started: None,
            last_error: None,
            unreadable: Some(error),
        }
    }

    /// What was found under an id; nothing if the entry has gone meanwhile.
    pub(super) fn found(
        id: String,
        found: Result<Option<(StoreKey, Entry)>, StoreError>,
    ) -> Option<Self> {
        match found {
            Ok(found) => found.map(|(key, entry)| Self::of(key, &entry)),
            Err(error) => Some(Self::unreadable(id, error)),
        }
    }
}

/// Entries in the order in which people read them.
pub(super) fn by_label(listed: impl IntoIterator<Item = EntrySummary>) -> Vec<EntrySummary> {
    let mut listed: Vec<_> = listed.into_iter().collect();
    listed.sort_by(|one, other| one.key.label().cmp(other.key.label()));
    listed
}

async fn replace_under(lease: &mut dyn StoreLease, entry: &Entry) -> Result<(), StoreError> {
    match lease.load().await {
        Err(fault) if fault.kind() == StoreErrorKind::Damaged => lease.quarantine().await?,
        Err(fault) => return Err(fault),
        Ok(_) => {}
    }
    lease.save(entry).await
}
