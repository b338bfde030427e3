//! The contract of a token store and of its leases.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::clock::backoff::Backoff;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::{Error, ErrorKind};
use crate::store::availability::Availability;
use crate::store::entry::{Entry, Failure, PendingExchange};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::StoreKey;
use crate::store::record::damaged;
use crate::token::token::{Expiry, Token};

/// A place where tokens are kept, shared by tasks, processes or machines.
///
/// The module [`store`](crate::store) lists the implementations. To write another one, keep this contract:
///
/// * **Calls.** All methods may be called concurrently.
/// * **Cancellation.** Any future may be dropped. A dropped save is done completely or not at all.
/// * **Leases.** At most one lease of a key exists at a time. A lease ends when it is released or dropped, and when its
///   process dies. If it can end earlier, [`leases_expire`](Self::leases_expire) says so, and saves detect conflicts.
/// * **Outages.** A store that is not available says so with [`StoreErrorKind::Unavailable`], after a few seconds at most. Its
///   [`availability`](Self::availability) tells those who could wait for it.
/// * **Secrets.** Errors and logs must not hold a secret. Seal entries that others can read, with
///   [`SealingKeys`](crate::store::SealingKeys).
///
/// ```
/// use std::pin::Pin;
/// use std::time::{Duration, SystemTime};
///
/// use keyfob::Error;
/// use keyfob::store::{
///     Availability, Entry, EntrySummary, SealingKeys, StoreError, StoreFuture, StoreKey, StoreLease, StoredEntry,
///     TokenStore,
/// };
///
/// # use std::collections::HashMap;
/// # use std::sync::{Arc, Mutex};
/// # #[derive(Clone, Default)]
/// # struct Database {
/// #     rows: Arc<Mutex<HashMap<String, Vec<u8>>>>,
/// #     lock: Arc<futures_util::lock::Mutex<()>>,
/// # }
/// # type RowLock = futures_util::lock::OwnedMutexGuard<()>;
/// # impl Database {
/// #     async fn read(&self, id: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
/// #         Ok(self.rows.lock().unwrap().get(id).cloned())
/// #     }
/// #     async fn write(&self, id: &str, bytes: Vec<u8>) -> Result<(), std::io::Error> {
/// #         self.rows.lock().unwrap().insert(id.to_owned(), bytes);
/// #         Ok(())
/// #     }
/// #     async fn rename(&self, id: &str, other: &str) -> Result<(), std::io::Error> {
/// #         let row = self.rows.lock().unwrap().remove(id);
/// #         self.rows.lock().unwrap().extend(row.map(|row| (other.to_owned(), row)));
/// #         Ok(())
/// #     }
/// #     async fn delete(&self, id: &str) -> Result<bool, std::io::Error> {
/// #         Ok(self.rows.lock().unwrap().remove(id).is_some())
/// #     }
/// #     async fn ids(&self) -> Result<Vec<String>, std::io::Error> {
/// #         Ok(self.rows.lock().unwrap().keys().cloned().collect())
/// #     }
/// #     async fn lock(&self, _: &str, _: Duration) -> Result<Option<RowLock>, std::io::Error> {
/// #         Ok(Some(Arc::clone(&self.lock).lock_owned().await))
/// #     }
/// # }
/// /// Keeps tokens in a table of a database, sealed.
/// #[derive(Clone)]
/// struct DatabaseStore {
///     database: Database,
///     keys: SealingKeys,
///     availability: Availability,
/// }
///
/// impl DatabaseStore {
///     async fn read(&self, id: &str) -> Result<Option<(StoreKey, Entry)>, StoreError> {
///         let sealed = self.database.read(id).await.map_err(unavailable)?;
///         sealed.map(|sealed| self.keys.open(id, &sealed)).transpose()
///     }
///
///     async fn read_stored(&self, key: &StoreKey) -> Result<Option<StoredEntry>, StoreError> {
///         let found = self.read(key.id()).await?;
///         Ok(found.map(|(_, entry)| StoredEntry { entry, age: None }))
///     }
/// }
///
/// impl TokenStore for DatabaseStore {
///     fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
///         Box::pin(self.read_stored(key))
///     }
///
///     fn lease<'a>(
///         &'a self,
///         key: &'a StoreKey,
///         max_wait: Duration,
///     ) -> StoreFuture<'a, Box<dyn StoreLease>> {
///         Box::pin(async move {
///             // A lock that the database releases when the connection ends.
///             let lock = self.database.lock(key.id(), max_wait).await.map_err(unavailable)?;
///             let lock = lock.ok_or_else(|| StoreError::busy(Error::unavailable("the row is locked")))?;
///             let lease = DatabaseLease { store: self.clone(), key: key.clone(), _lock: lock };
///             Ok(Box::new(lease) as Box<dyn StoreLease>)
///         })
///     }
///
///     fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
///         Box::pin(async move {
///             let mut summaries = Vec::new();
///             for id in self.database.ids().await.map_err(unavailable)? {
///                 match self.read(&id).await {
///                     Ok(Some((key, entry))) => summaries.push(EntrySummary::of(key, &entry)),
///                     Ok(None) => {}
///                     Err(error) => summaries.push(EntrySummary::unreadable(id, error)),
///                 }
///             }
///             Ok(summaries)
///         })
///     }
///
///     fn availability(&self) -> Availability {
///         self.availability.clone()
///     }
/// }
///
/// struct DatabaseLease {
///     store: DatabaseStore,
///     key: StoreKey,
///     _lock: RowLock,
/// }
///
/// impl StoreLease for DatabaseLease {
///     fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>> {
///         Box::pin(self.store.read_stored(&self.key))
///     }
///
///     fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()> {
///         Box::pin(async move {
///             let sealed = self.store.keys.seal(&self.key, entry)?;
///             self.store.database.write(self.key.id(), sealed.clone()).await.map_err(unavailable)?;
///             self.store.keys.note_saved(self.key.id(), &sealed);
///             Ok(())
///         })
///     }
///
///     fn remove(&mut self) -> StoreFuture<'_, bool> {
///         Box::pin(async move {
///             let quarantined = format!("{}.bad", self.key.id());
///             self.store.database.delete(&quarantined).await.map_err(unavailable)?;
///             self.store.database.delete(self.key.id()).await.map_err(unavailable)
///         })
///     }
///
///     fn quarantine(&mut self) -> StoreFuture<'_, ()> {
///         Box::pin(async move {
///             let other = format!("{}.bad", self.key.id());
///             self.store.database.rename(self.key.id(), &other).await.map_err(unavailable)
///         })
///     }
///
///     fn release(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         Box::pin(async move { drop(self) })
///     }
/// }
///
/// fn unavailable(cause: std::io::Error) -> StoreError {
///     StoreError::unavailable(Error::unavailable("the database cannot be used").caused_by(cause))
/// }
///
/// # use keyfob::store::SealingKey;
/// # use keyfob::{EnvToken, Token};
/// # let keys = SealingKeys::new(SealingKey::generate()?);
/// # let store = DatabaseStore { database: Database::default(), keys, availability: Availability::default() };
/// # let key = StoreKey::builder("https://issuer.example.com").build();
/// # let entry = Entry::new(Token::new("t0ken")?, SystemTime::now());
/// # block_on(async {
/// #     store.replace(&key, &entry, Duration::from_secs(1)).await?;
/// #     let stored = store.load(&key).await?.unwrap();
/// #     assert_eq!(stored.entry.token().unwrap().expose(), "t0ken");
/// #     assert_eq!(store.list().await?.len(), 1);
/// #     assert!(store.forget(&key, Duration::from_secs(1)).await?);
/// #     Ok::<(), StoreError>(())
/// # })?;
/// # fn block_on<T>(work: impl Future<Output = T>) -> T {
/// #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
/// # }
/// # Ok::<(), keyfob::Error>(())
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// Reads an entry, without waiting for a lease; `None` if there is none.
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>>;

    /// Takes the lease of this key, and waits for it if another task or process holds it.
    ///
    /// After `max_wait` it fails with [`StoreErrorKind::Busy`].
    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>>;

    /// Lists all entries, without their secrets. A key of which only a quarantined entry is left is listed as unreadable.
    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>>;

    /// Whether a lease can end while the process that holds it lives, because the process or the network hung for too long.
    fn leases_expire(&self) -> bool {
        false
    }

    /// What all who use this store know about its outages. By default, each source knows only what it found out itself.
    fn availability(&self) -> Availability {
        Availability::default()
    }

    /// Removes an entry, even a damaged one. Returns whether there was one.
    ///
    /// It takes the lease first, so that it does not interrupt an exchange.
    fn forget<'a>(&'a self, key: &'a StoreKey, max_wait: Duration) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut lease = self.lease(key, max_wait).await?;
            let removed = lease.remove().await;
            // Also after a failure, so that others need not wait until the lease expires.
            lease.release().await;
            removed
        })
    }

    /// Replaces an entry, even a damaged one, as after a sign-in.
    ///
    /// It takes the lease first, so that it does not interrupt an exchange.
    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        entry: &'a Entry,
        max_wait: Duration,
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut lease = self.lease(key, max_wait).await?;
            let saved = replace_under(&mut *lease, entry).await;
            lease.release().await;
            saved
        })
    }
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Option<StoredEntry>> {
        (**self).load(key)
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> StoreFuture<'a, Box<dyn StoreLease>> {
        (**self).lease(key, max_wait)
    }

    fn list(&self) -> StoreFuture<'_, Vec<EntrySummary>> {
        (**self).list()
    }

    fn leases_expire(&self) -> bool {
        (**self).leases_expire()
    }

    fn availability(&self) -> Availability {
        (**self).availability()
    }

    fn forget<'a>(&'a self, key: &'a StoreKey, max_wait: Duration) -> StoreFuture<'a, bool> {
        (**self).forget(key, max_wait)
    }

    fn replace<'a>(
        &'a self,
        key: &'a StoreKey,
        entry: &'a Entry,
        max_wait: Duration,
    ) -> StoreFuture<'a, ()> {
        (**self).replace(key, entry, max_wait)
    }
}

/// What the methods of a store return: a boxed future, as `Box::pin(async move { … })` makes it.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The right to write one entry, for as long as this value lives.
///
/// If leases [can expire](TokenStore::leases_expire), a save fails with [`StoreErrorKind::Conflict`] if another lease has
/// saved since this one last loaded or saved.
pub trait StoreLease: Send + Sync {
    /// Reads the entry.
    fn load(&mut self) -> StoreFuture<'_, Option<StoredEntry>>;

    /// Writes the entry. It completes when the entry would survive a crash of the machine or server that keeps it.
    fn save<'a>(&'a mut self, entry: &'a Entry) -> StoreFuture<'a, ()>;

    /// Removes the entry, and what was quarantined of it. Returns whether there was anything.
    fn remove(&mut self) -> StoreFuture<'_, bool>;

    /// Moves a damaged entry out of the way, to a place where a person can inspect it.
    fn quarantine(&mut self) -> StoreFuture<'_, ()>;

    /// Ends the lease, and waits until others can take it. A lease that is dropped ends as well, perhaps a little later.
    fn release(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// An entry, as read from a store.
///
/// [`TokenStore`](crate::store::TokenStore) has an example.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The entry.
    pub entry: Entry,
    /// How long ago the entry was saved, if the store measures that with its own clock.
    pub age: Option<Duration>,
}

impl StoredEntry {
    /// The entry as a machine whose clock shows `now` saves it again: all its times are those of this clock.
    #[must_use]
    pub fn at(self, now: SystemTime) -> Entry {
        let mut entry = self.entry.rebase(now, self.age);
        entry.saved = now;
        entry
    }
}

/// An entry of a store, without its secrets.
///
/// [`TokenStore`](crate::store::TokenStore) has an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntrySummary {
    /// The key. If the entry cannot be read, only its [`id`](StoreKey::id) is known.
    pub key: StoreKey,
    /// When the token expires, if that is known.
    pub expires: Option<SystemTime>,
    /// When the token was obtained.
    pub obtained: Option<SystemTime>,
    /// Whether it has a token.
    pub has_token: bool,
    /// Whether it has a refresh token.
    pub has_refresh_token: bool,
    /// The scopes that the issuer granted, separated by spaces, if they are known.
    pub scope: Option<String>,
    /// When an exchange started that has no result yet.
    pub exchange_started: Option<SystemTime>,
    /// Why the last exchange failed, if that is still remembered.
    pub last_error: Option<ErrorKind>,
    /// Why the entry cannot be read, if it cannot.
    pub unreadable: Option<StoreError>,
}

impl EntrySummary {
    /// The summary of an entry, for your own store.
    #[must_use]
    pub fn of(key: StoreKey, entry: &Entry) -> Self {
        let token = entry.token();
        let expires = match token.map(Token::expires) {
            Some(Expiry::At(time) | Expiry::Hint(time)) => Some(time),
            _ => None,
        };
        Self {
            key,
            expires,
            obtained: token.and_then(Token::obtained),
            has_token: token.is_some(),
            has_refresh_token: token.is_some_and(|token| token.refresh_token().is_some()),
            scope: token.and_then(Token::scope).map(str::to_owned),
            exchange_started: entry.pending_exchange().map(PendingExchange::started),
            last_error: entry.failure.as_ref().map(Failure::kind),
            unreadable: None,
        }
    }

    /// The summary of an entry that could not be read.
    #[must_use]
    pub fn unreadable(id: impl Into<String>, error: StoreError) -> Self {
        Self {
            key: StoreKey::from_parts(id.into(), "unknown".to_owned()),
            expires: None,
            obtained: None,
            has_token: false,
            has_refresh_token: false,
            scope: None,
            exchange_started: None,
            last_error: None,
            unreadable: Some(error),
        }
    }
}

/// Summarizes what was read under each id, sorted by label for people. Entries that were removed meanwhile are left out.
pub(super) fn summarize(
    found: impl IntoIterator<Item = (String, Result<Option<(StoreKey, Entry)>, StoreError>)>,
) -> Vec<EntrySummary> {
    let summaries = found.into_iter().filter_map(|(id, found)| match found {
        // It was copied from another place, and would be removed there in place of here.
        Ok(Some((key, _))) if key.id() != id => Some(EntrySummary::unreadable(id, damaged())),
        Ok(found) => found.map(|(key, entry)| EntrySummary::of(key, &entry)),
        Err(error) => Some(EntrySummary::unreadable(id, error)),
    });
    let mut summaries: Vec<_> = summaries.collect();
    summaries.sort_by(|one, other| one.key.label().cmp(other.key.label()));
    summaries
}

/// Why a key is listed that has no entry.
pub(super) fn quarantined() -> StoreError {
    StoreError::damaged(Error::malformed(
        "a damaged or incomplete entry was left behind; `keyfob forget` removes it",
    ))
}

/// Tries to take a lease until it is free, or until `max_wait` is over.
pub(super) async fn wait_for_lease<T, F>(
    max_wait: Duration,
    pauses: Backoff,
    mut take: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<Option<T>, StoreError>>,
{
    let deadline = SystemClock.elapsed().saturating_add(max_wait);
    let mut attempts = 0;
    loop {
        if let Some(lease) = take().await? {
            return Ok(lease);
        }
        let left = deadline.saturating_sub(SystemClock.elapsed());
        if left.is_zero() {
            return Err(StoreError::lease_is_held());
        }
        attempts += 1;
        // Jitter, so that waiting processes do not try at the same time.
        let pause = pauses.half_jitter(attempts, fastrand::f64());
        SystemClock.sleep(pause.min(left)).await;
    }
}

async fn replace_under(lease: &mut dyn StoreLease, entry: &Entry) -> Result<(), StoreError> {
    // Reading first tells a lease that can expire which save its own follows.
    match lease.load().await {
        Err(fault) if fault.kind() == StoreErrorKind::Damaged => lease.quarantine().await?,
        // A new sign-in replaces what may be used up. What another version, key or store may still need is not lost with it.
        Err(fault) if fault.kind() == StoreErrorKind::Outdated => {}
        Err(fault) => return Err(fault),
        Ok(_) => {}
    }
    lease.save(entry).await
}
