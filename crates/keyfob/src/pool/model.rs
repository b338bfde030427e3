//! The pool under a model checker: callers, evictions, renewals and the limit of fetches at once, in thousands of interleavings.
//!
//! Run `cargo xtask test model`. If a caller waits forever, the checker reports a deadlock. The map of the kept caches has locks that
//! the checker does not see; no task may switch under one of them, or the test hangs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use crate::cache::cache::TokenCache;
use crate::cache::model::runs::{Runs, Time};
use crate::cache::model::{DUE, LIFETIME, check, join, token, yield_in_fetch};
use crate::error::error::{Error, ErrorKind};
use crate::pool::builder::TokenPoolBuilder;
use crate::pool::key::PoolKey;
use crate::pool::pool::TokenPool;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// The keys of each test, of which the pool keeps fewer.
const SUBJECTS: [&str; 3] = ["anna", "bert", "carla"];

#[test]
fn t1_callers_of_keys_that_evict_each_other_cause_one_call_for_each_key() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| builder.max_entries(1));
        let held = Arc::<Mutex<Vec<TokenCache>>>::default();
        let callers = world.callers(|pool, key| {
            let held = Arc::clone(&held);
            async move {
                let cache = pool.tokens(&key).unwrap();
                assert_eq!(cache.lease(None).await.unwrap().generation(), 1);
                // So that the life of the key does not end before that of the test.
                held.lock().unwrap().push(cache);
            }
        });
        join(callers);
        world.settle();
        assert_eq!(world.calls(), [1, 1, 1]);
    });
}

#[test]
fn t3_each_due_token_is_renewed_once_and_served_although_its_key_is_evicted() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| builder.max_entries(1));
        let held: Vec<_> = SUBJECTS.map(|subject| world.fetched(subject)).into();
        world.clock.set(DUE);
        let callers = world.callers(|pool, key| async move {
            let lease = pool.lease(&key, None).now_or_never();
            assert!(lease.expect("does not wait").is_ok());
        });
        join(callers);
        world.settle();
        assert_eq!(world.calls(), [2, 2, 2]);
        for cache in held {
            assert_eq!(cache.status().generation, 2);
        }
    });
}

#[test]
fn t10_a_renewal_that_runs_ends_although_its_key_is_evicted_and_its_callers_leave() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| builder.max_entries(1));
        let polls = thread_rng().gen_range(0..3);
        let callers = world.callers(move |pool, key| async move {
            let mut wait = Box::pin(pool.lease(&key, None));
            for _ in 0..polls {
                if (&mut wait).now_or_never().is_some() {
                    return;
                }
                future::yield_now().await;
            }
        });
        join(callers);
        world.settle();
        assert_eq!(world.log.aborted.load(Ordering::Relaxed), 0);
        // Only the last key may stay.
        assert!(
            world.pool.status().entries <= 1,
            "{:?}",
            world.pool.status()
        );
    });
}

#[test]
fn t10_a_source_with_an_unsaved_refresh_token_is_made_once_and_stays() {
    check(|| {
        let world = World::new(Saved::Nowhere, |builder| builder.max_entries(2));
        let callers = world.callers(|pool, key| async move {
            for _ in 0..2 {
                match pool.lease(&key, None).await {
                    Ok(_) => future::yield_now().await,
                    // There are three keys and two places.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                }
            }
        });
        join(callers);
        world.settle();
        assert_eq!(world.log.lost.load(Ordering::Relaxed), 0);
        let calls = world.calls();
        assert_eq!(calls.iter().sum::<usize>(), 2, "{calls:?}");
        // A place is free again when its user signs out, and one place only.
        let used = SUBJECTS.iter().zip(calls).filter(|(_, calls)| *calls == 1);
        let used: Vec<_> = used.map(|(subject, _)| key(subject)).collect();
        assert!(world.pool.remove(&used[0]) && !world.pool.remove(&used[0]));
        world.pool.tokens(&key("new")).unwrap();
        world.pool.tokens(&key("newer")).unwrap_err();
    });
}

#[test]
fn t10_an_idle_key_is_evicted_while_others_use_it_and_no_call_is_doubled() {
    check(|| {
        let idle_timeout = Duration::from_secs(8);
        let world = World::new(Saved::InStore, |builder| builder.idle_timeout(idle_timeout));
        let held: Vec<_> = SUBJECTS.map(|subject| world.fetched(subject)).into();
        let clock = world.clock.clone();
        let time = future::spawn(async move {
            for now in [20, 40, 60] {
                clock.set(now);
                future::yield_now().await;
            }
        });
        let callers = world.callers(|pool, key| async move {
            pool.lease(&key, None).await.unwrap();
            // A key that is not kept is what makes the pool look for idle ones.
            let other = PoolKey::new(format!("other-{}", key.subject())).unwrap();
            pool.tokens(&other).unwrap();
        });
        join(callers);
        join(vec![time]);
        world.settle();
        assert_eq!(world.calls(), [1, 1, 1]);
        drop(held);
    });
}

#[test]
fn t10_the_limit_of_fetches_holds_and_the_queue_ends_although_a_runtime_stops() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| builder.fetches_at_once(2));
        if thread_rng().r#gen() {
            world.runs.stop_next();
        }
        let callers = world.callers(|pool, key| async move {
            pool.lease(&key, None).await.unwrap();
        });
        join(callers);
        world.settle();
        assert!(world.log.most_running.load(Ordering::Relaxed) <= 2);
        let status = world.pool.status();
        assert_eq!((status.fetching, status.queued), (0, 0));
    });
}

#[test]
fn t10_a_caller_beyond_the_queue_gets_an_error_at_once_and_the_others_a_token() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| {
            builder.fetches_at_once(1).max_queued(1)
        });
        let callers = world.callers(|pool, key| async move {
            if let Err(error) = pool.lease(&key, None).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
            }
        });
        join(callers);
        world.settle();
        assert!(world.calls().iter().sum::<usize>() >= 2);
        assert!(world.log.most_running.load(Ordering::Relaxed) <= 1);
    });
}

#[test]
fn t10_a_key_that_is_removed_during_its_use_leaves_no_entry_behind() {
    check(|| {
        let world = World::new(Saved::InStore, |builder| builder.max_entries(2));
        let mut callers = world.callers(|pool, key| async move {
            pool.lease(&key, None).await.unwrap();
        });
        let pool = world.pool.clone();
        callers.push(future::spawn(async move {
            for subject in SUBJECTS {
                pool.remove(&key(subject));
                future::yield_now().await;
            }
        }));
        join(callers);
        world.settle();
        for subject in SUBJECTS {
            world.pool.remove(&key(subject));
        }
        assert_eq!(world.pool.status().entries, 0);
    });
}

struct World {
    pool: TokenPool,
    log: Arc<Log>,
    clock: Time,
    runs: Runs,
}

/// Whether the refresh tokens of the sources are kept somewhere else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saved {
    InStore,
    Nowhere,
}

impl World {
    fn new(saved: Saved, settings: impl FnOnce(TokenPoolBuilder) -> TokenPoolBuilder) -> Self {
        let (log, clock, runs) = (Arc::<Log>::default(), Time::default(), Runs::default());
        let of_sources = Arc::clone(&log);
        let builder = TokenPool::builder(move |key: &PoolKey| {
            Ok(Rotating {
                subject: key.subject().to_owned(),
                saved,
                calls: AtomicUsize::new(0),
                running: AtomicUsize::new(0),
                log: Arc::clone(&of_sources),
            })
        });
        let builder = builder.clock(clock.clone()).runtime(runs.clone());
        Self {
            pool: settings(builder).build().unwrap(),
            log,
            clock,
            runs,
        }
    }

    /// The cache of a key, whose token has been fetched.
    fn fetched(&self, subject: &str) -> TokenCache {
        let cache = self.pool.tokens(&key(subject)).unwrap();
        future::block_on(cache.lease(None)).unwrap();
        cache
    }

    /// Starts two callers for each key.
    fn callers<F: Future<Output = ()> + Send + 'static>(
        &self,
        caller: impl Fn(TokenPool, PoolKey) -> F,
    ) -> Vec<future::JoinHandle<()>> {
        let keys = SUBJECTS.iter().chain(&SUBJECTS);
        let callers = keys.map(|subject| future::spawn(caller(self.pool.clone(), key(subject))));
        callers.collect()
    }

    /// The calls for each key.
    fn calls(&self) -> [usize; 3] {
        let calls = self.log.calls.lock().unwrap();
        SUBJECTS.map(|subject| calls.get(subject).copied().unwrap_or(0))
    }

    /// Waits until no renewal runs.
    fn settle(&self) {
        self.runs.until_all_ended();
        assert_eq!(self.log.overlaps.load(Ordering::Relaxed), 0);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A source that is dropped after this was not lost by the pool.
        self.log.ended.store(1, Ordering::Relaxed);
    }
}

fn key(subject: &str) -> PoolKey {
    PoolKey::new(subject).unwrap()
}

/// What the sources of all keys did.
#[derive(Default)]
struct Log {
    calls: Mutex<BTreeMap<String, usize>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    /// Calls for one key that ran at the same time as another one for it.
    overlaps: AtomicUsize,
    /// Calls that were dropped before their end.
    aborted: AtomicUsize,
    /// Sources that were dropped with a refresh token that is nowhere else.
    lost: AtomicUsize,
    ended: AtomicUsize,
}

/// A source whose calls each replace its refresh token.
struct Rotating {
    subject: String,
    saved: Saved,
    calls: AtomicUsize,
    running: AtomicUsize,
    log: Arc<Log>,
}

impl TokenSource for Rotating {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let call = Call::begin(self);
            yield_in_fetch().await;
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            call.end();
            Ok::<_, Error>(token(&format!("token-{number}")))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.saved == Saved::Nowhere
    }
}

impl Drop for Rotating {
    fn drop(&mut self) {
        let has_token = self.saved == Saved::Nowhere && *self.calls.get_mut() > 0;
        if has_token && self.log.ended.load(Ordering::Relaxed) == 0 {
            self.log.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A call in progress.
struct Call<'a> {
    source: &'a Rotating,
    has_ended: bool,
}

impl<'a> Call<'a> {
    fn begin(source: &'a Rotating) -> Self {
        let log = &source.log;
        let mut calls = log.calls.lock().unwrap();
        *calls.entry(source.subject.clone()).or_default() += 1;
        // Counted, because a panic would be a failed call to the cache.
        let others = source.running.fetch_add(1, Ordering::Relaxed);
        log.overlaps.fetch_add(others, Ordering::Relaxed);
        let running = log.running.fetch_add(1, Ordering::Relaxed) + 1;
        log.most_running.fetch_max(running, Ordering::Relaxed);
        Self {
            source,
            has_ended: false,
        }
    }

    fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let log = &self.source.log;
        self.source.running.fetch_sub(1, Ordering::Relaxed);
        log.running.fetch_sub(1, Ordering::Relaxed);
        log.aborted
            .fetch_add(usize::from(!self.has_ended), Ordering::Relaxed);
    }
}

const _: () = assert!(LIFETIME.as_secs() > 60, "an idle key is not due");
