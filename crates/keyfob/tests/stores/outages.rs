//! An outage of a store is found out once for all of its keys.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::future::join_all;
use keyfob::TokenCache;
use keyfob::source::Persisted;
use keyfob::store::{FileStore, SealingKey, SealingKeys, StoreKey, TokenStore};
use keyfob_testkit::ManualClock;
use tokio::runtime::Builder;
use tracing::Level;

use crate::captured_log::listening;
use crate::fixtures::{FailingStore, Process, SECOND, token, until};

/// A source of tokens that last 100 s, in this store under the key of this subject.
fn stored(store: &(impl TokenStore + Clone), subject: &str) -> Persisted {
    let key = StoreKey::builder("https://issuer.example.com").subject(subject);
    let source = keyfob::hook(|_| async { token(1) });
    Persisted::new(source, store.clone(), key.build())
}

/// The caches of twenty subjects.
fn caches(store: &(impl TokenStore + Clone), clock: &ManualClock) -> Vec<TokenCache> {
    let cache = |number: u32| {
        let cache = TokenCache::builder(stored(store, &number.to_string()));
        cache.clock(clock.clone()).build().unwrap()
    };
    (0..20).map(cache).collect()
}

/// Each cache has a token, and looks for a newer one in the background if that is due.
async fn use_all(caches: &[TokenCache]) {
    let got = join_all(caches.iter().map(TokenCache::get_valid_token)).await;
    assert!(got.iter().all(Result::is_ok), "{got:?}");
    until(async || caches.iter().all(|cache| !cache.status().renewing)).await;
}

/// How many events of each level this logs, without those for debugging.
fn events_of(work: impl Future<Output = ()>) -> BTreeMap<Level, u32> {
    let events = Rc::new(RefCell::new(BTreeMap::new()));
    let counted = Rc::clone(&events);
    let count = move |level| *counted.borrow_mut().entry(level).or_default() += 1;
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    listening(count, || runtime.block_on(work));
    let mut events = events.take();
    events.retain(|level, _| *level <= Level::INFO);
    events
}

#[test]
fn one_event_begins_an_outage_and_one_ends_it_however_many_keys_there_are() {
    for set_failing in [FailingStore::set_unavailable, FailingStore::set_full] {
        let events = events_of(async move {
            let (store, clock) = (FailingStore::default(), ManualClock::default());
            let caches = caches(&store, &clock);
            set_failing(&store, true);
            for _ in 0..3 {
                use_all(&caches).await;
                clock.advance(SECOND * 11);
            }
            set_failing(&store, false);
            for _ in 0..3 {
                use_all(&caches).await;
                clock.advance(SECOND * 11);
            }
            assert_eq!(store.inner.list().await.unwrap().len(), 20);
        });
        assert_eq!(events, [(Level::INFO, 1), (Level::WARN, 1)].into());
    }
}

#[test]
fn one_event_says_that_no_entry_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let sealed = |keys| FileStore::new(directory.path().join("keyfob")).sealed(keys);
    let keys = |key| SealingKeys::new(SealingKey::from_bytes([key; 32]));
    let events = events_of(async {
        let clock = ManualClock::default();
        let right = sealed(keys(1));
        use_all(&caches(&right, &clock)).await;
        let wrong = caches(&sealed(keys(2)), &clock);
        for _ in 0..2 {
            use_all(&wrong).await;
            clock.advance(SECOND * 11);
        }
        // Repaired: all entries go, and the next tokens are sealed with the other key.
        for entry in right.list().await.unwrap() {
            right.forget(&entry.key, SECOND).await.unwrap();
        }
        use_all(&wrong).await;
    });
    assert_eq!(events, [(Level::INFO, 1), (Level::ERROR, 1)].into());
}

#[tokio::test]
async fn t1_a_fault_of_one_entry_keeps_no_other_key_from_the_store() {
    let (store, clock) = (FailingStore::default(), ManualClock::default());
    let caches = caches(&store, &clock);
    store.set_unavailable(true);
    caches[0].get_valid_token().await.unwrap();
    store.set_unavailable(false);
    caches[1].get_valid_token().await.unwrap();
    assert_eq!(store.inner.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn t9_a_caller_that_needs_the_store_asks_it_also_in_an_outage() {
    let store = FailingStore::default();
    store.set_unavailable(true);
    for _ in 0..2 {
        let process = Process::repeatable(store.clone());
        process.get_with_response(token(1)).await.unwrap();
    }
    store.set_unavailable(false);
    let process = Process::rotating(store.clone());
    let got = process.get_with_response(token(2)).await;
    assert_eq!(got.unwrap(), "token-2");
}

#[cfg(feature = "pool")]
mod pool {
    use std::pin::pin;
    use std::time::Duration;

    use keyfob::TokenPool;
    use keyfob::clock::Clock;
    use keyfob::pool::PoolKey;

    use super::*;

    /// How long these callers wait, on a clock that goes on whenever nothing else does.
    async fn wait_of<T>(clock: &ManualClock, callers: impl Future<Output = T>) -> Duration {
        let start = clock.elapsed();
        let mut callers = pin!(callers);
        loop {
            let idle = async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                _ = &mut callers => return clock.elapsed() - start,
                () = idle => clock.advance(SECOND / 10),
            }
        }
    }

    #[tokio::test]
    async fn t10_in_an_outage_of_the_store_no_key_waits_for_the_others() {
        let (store, clock) = (FailingStore::default(), ManualClock::default());
        store.hang(&clock);
        let source = move |key: &PoolKey| Ok(stored(&store, key.subject()));
        let builder = TokenPool::builder(source).clock(clock.clone());
        let pool = builder.build().unwrap();
        let use_keys = async |numbers: std::ops::Range<u32>| {
            let leases = numbers.map(async |number| {
                let key = PoolKey::new(number.to_string()).unwrap();
                pool.lease(&key, None).await.unwrap();
            });
            wait_of(&clock, join_all(leases)).await
        };
        // Those of the first 32 places find out about the outage, and perhaps one more.
        assert!(use_keys(0..200).await <= SECOND * 7);
        for round in 0..5 {
            clock.advance(SECOND * 11);
            // Each looks for the store again, in the background.
            assert_eq!(use_keys(0..200).await, Duration::ZERO);
            let new = 200 + round;
            assert_eq!(use_keys(new..new + 1).await, Duration::ZERO);
        }
    }
}
