//! Sources that rotate refresh tokens, stores that fail, and processes that share a store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::clock::Clock;
use keyfob::source::{Persisted, TokenRequest};
use keyfob::store::{
    Availability, Entry, EntrySummary, MemoryStore, StoreError, StoreKey, StoreLease, StoredEntry,
    TokenStore,
};
use keyfob::{Error, Token, TokenCache, TokenSource};
use keyfob_testkit::{GatedSource, ManualClock};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Real time, long enough for a loaded machine. Only a failing test waits this long.
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) fn key() -> StoreKey {
    StoreKey::builder("https://issuer.example.com")
        .client("tests")
        .build()
}

/// A token of 100 s with a refresh token of the same number.
pub(crate) fn token(number: u32) -> Result<Token, Error> {
    let token = Token::new(format!("token-{number}"))?.expires_in(SECOND * 100);
    token.with_refresh_token(format!("refresh-{number}"))
}

/// The same source, whose fetches consume the refresh token.
pub(crate) struct Rotating<S>(pub(crate) S);

impl<S: TokenSource> TokenSource for Rotating<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        self.0.fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        true
    }
}

/// A simulated process: a cache over a persisted source, with its own clock.
pub(crate) struct Process {
    pub(crate) source: GatedSource,
    pub(crate) clock: ManualClock,
    pub(crate) cache: TokenCache,
}

impl Process {
    /// A process whose fetches consume the refresh token.
    pub(crate) fn rotating(store: impl TokenStore) -> Self {
        Self::over(store, Rotating, |persisted| persisted)
    }

    pub(crate) fn repeatable(store: impl TokenStore) -> Self {
        Self::over(store, |source| source, |persisted| persisted)
    }

    pub(crate) fn over<S: TokenSource>(
        store: impl TokenStore,
        source: impl FnOnce(GatedSource) -> S,
        settings: impl FnOnce(Persisted) -> Persisted,
    ) -> Self {
        let gated = GatedSource::new();
        let clock = ManualClock::default();
        let persisted = settings(Persisted::new(source(gated.clone()), store, key()));
        let cache = TokenCache::builder(persisted).clock(clock.clone());
        Self {
            source: gated,
            cache: cache.build().unwrap(),
            clock,
        }
    }

    /// The token that a caller gets if the source responds to its only call with this result.
    pub(crate) async fn get_with_response(
        &self,
        response: Result<Token, Error>,
    ) -> Result<String, Error> {
        let responded = async { self.source.next_call().await.respond(response) };
        let (got, ()) = tokio::join!(self.get(), responded);
        got
    }

    pub(crate) async fn get(&self) -> Result<String, Error> {
        let got = tokio::time::timeout(LONGEST, self.cache.get_valid_token()).await;
        let token = got.expect("the token arrives before the timeout")?;
        Ok(token.expose().to_owned())
    }
}

/// A process with the first token, which has expired.
pub(crate) async fn with_an_ended_token(store: impl TokenStore) -> Process {
    let process = Process::rotating(store);
    process.get_with_response(token(1)).await.unwrap();
    process.clock.advance(SECOND * 101);
    process
}

/// Stores the second token, as another process would.
pub(crate) async fn sign_in(store: &impl TokenStore, process: &Process) {
    let now = process.clock.wall();
    let signed_in = Entry::new(token(2).unwrap().obtained_at(now), now);
    store.replace(&key(), &signed_in, SECOND).await.unwrap();
}

/// Runs other tasks until a condition holds. The wait is bounded, so that a failing test ends.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition did not hold in time");
}

/// A store in memory that the test can make fail.
#[derive(Clone, Default)]
pub(crate) struct FailingStore {
    pub(crate) inner: MemoryStore,
    loads: Arc<AtomicUsize>,
    is_unavailable: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
    loses_replies: Arc<AtomicBool>,
    /// Where an unavailable store takes 3 s to say so.
    slow_on: Arc<Mutex<Option<ManualClock>>>,
    availability: Availability,
    /// What fails from the next save on, which finds that another process has saved.
    after_conflict: Arc<Mutex<Option<Failure>>>,
}

/// Sets what fails.
type Failure = fn(&FailingStore, bool);

impl FailingStore {
    pub(crate) fn set_unavailable(&self, is_unavailable: bool) {
        self.is_unavailable.store(is_unavailable, Ordering::SeqCst);
    }

    /// Nothing works, and each call takes 3 s on this clock to fail.
    #[cfg(feature = "pool")]
    pub(crate) fn hang(&self, clock: &ManualClock) {
        *self.slow_on.lock().unwrap() = Some(clock.clone());
        self.set_unavailable(true);
    }

    /// Saves fail, and everything else works.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Saves are carried out and fail, and leases can expire.
    pub(crate) fn set_losing_replies(&self, loses: bool) {
        self.loses_replies.store(loses, Ordering::SeqCst);
    }

    /// The next save finds that another process has saved, and from then on this fails.
    pub(crate) fn fail_after_conflict(&self, failure: Failure) {
        *self.after_conflict.lock().unwrap() = Some(failure);
    }

    /// How often an entry was read without a lease.
    #[cfg(feature = "pool")]
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    pub(crate) async fn stored(&self) -> Option<Entry> {
        let kept = self.inner.load(&key()).await.unwrap();
        kept.map(|kept| kept.entry)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let clock = self.slow_on.lock().unwrap().clone();
        if let Some(clock) = clock.filter(|_| self.is_unavailable.load(Ordering::SeqCst)) {
            clock.sleep(SECOND * 3).await;
        }
        fail_if(&self.is_unavailable, "the store is unavailable")
    }
}

fn fail_if(fails: &AtomicBool, why: &'static str) -> Result<(), StoreError> {
    match fails.load(Ordering::SeqCst) {
        true => Err(StoreError::unavailable(Error::unavailable(why))),
        false => Ok(()),
    }
}

impl TokenStore for FailingStore {
    fn load<'a>(
        &'a self,
        key: &'a StoreKey,
    ) -> BoxFuture<'a, Result<Option<StoredEntry>, StoreError>> {
        Box::pin(async move {
            self.loads.fetch_add(1, Ordering::SeqCst);
            self.check().await?;
            self.inner.load(key).await
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a StoreKey,
        max_wait: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn StoreLease>, StoreError>> {
        Box::pin(async move {
            self.check().await?;
            let lease = FailingLease {
                store: self.clone(),
                inner: self.inner.lease(key, max_wait).await?,
            };
            let lease: Box<dyn StoreLease> = Box::new(lease);
            Ok(lease)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<EntrySummary>, StoreError>> {
        self.inner.list()
    }

    fn leases_expire(&self) -> bool {
        self.loses_replies.load(Ordering::SeqCst)
    }

    fn availability(&self) -> Availability {
        self.availability.clone()
    }
}

struct FailingLease {
    store: FailingStore,
    inner: Box<dyn StoreLease>,
}

impl StoreLease for FailingLease {
    fn load(&mut self) -> BoxFuture<'_, Result<Option<StoredEntry>, StoreError>> {
        self.inner.load()
    }

    fn save<'a>(&'a mut self, entry: &'a Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.store.check().await?;
            fail_if(&self.store.is_full, "the store is full")?;
            let after_conflict = self.store.after_conflict.lock().unwrap().take();
            if let Some(fail) = after_conflict {
                fail(&self.store, true);
                let why = Error::unavailable("another process has saved");
                return Err(StoreError::conflict(why));
            }
            self.inner.save(entry).await?;
            fail_if(&self.store.loses_replies, "the reply was lost")
        })
    }

    fn remove(&mut self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.inner.remove()
    }

    fn quarantine(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.quarantine()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.inner.release()
    }
}
