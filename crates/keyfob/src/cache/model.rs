//! The cache under a model checker, which tries thousands of interleavings of callers and renewals.
//!
//! Run `cargo xtask test model`.
//! If a caller waits forever, the checker reports a deadlock.
//!
//! All tasks share one thread, and the flag that detects a hook that uses its own cache belongs to the thread. So a fetch
//! must not switch tasks within a poll; it yields by returning `Pending`.

pub(crate) mod runs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::cache::model::runs::{Runs, Time};
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

pub(crate) const LIFETIME: Duration = Duration::from_secs(100);
/// A moment after the token is due, which it is after 75 s at the latest.
pub(crate) const DUE: u64 = 80;
/// A moment in the leeway, which begins after 90 s.
const LEEWAY: u64 = 95;

#[test]
fn t1_readers_of_a_missing_token_cause_one_call() {
    check(|| {
        let world = World::new(Script::Succeeds);
        world.run(3, |cache| async move {
            assert_eq!(cache.lease(None).await.unwrap().generation(), 1);
        });
        assert_eq!(world.calls(), 1);
    });
}

#[test]
fn t2_readers_of_a_missing_token_share_one_failure() {
    check(|| {
        let world = World::new(Script::Fails);
        world.run(3, |cache| async move {
            assert!(cache.lease(None).await.is_err());
        });
        assert_eq!(world.calls(), 1);
        assert_eq!(world.cache.status().failures, 1);
    });
}

#[test]
fn t3_readers_of_a_due_token_never_wait_and_cause_one_call() {
    check(|| {
        let world = World::with_token(Script::Succeeds);
        world.clock.set(DUE);
        world.run(3, |cache| async move {
            for _ in 0..2 {
                let lease = cache.lease(None).now_or_never().expect("does not wait");
                assert!(lease.is_ok());
                assert!(cache.header().is_some());
                future::yield_now().await;
            }
        });
        world.settle();
        assert_eq!(world.calls(), 2);
        assert_eq!(world.cache.status().generation, 2);
    });
}

#[test]
fn t3_readers_in_the_leeway_get_the_token_although_its_renewal_fails() {
    check(|| {
        let world = World::with_token(Script::SucceedsOnce);
        world.clock.set(LEEWAY);
        world.run(3, |cache| async move {
            assert_eq!(cache.lease(None).await.unwrap().generation(), 1);
        });
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn t3_a_token_is_served_until_it_expires() {
    check(|| {
        let world = World::with_token(Script::SucceedsOnce);
        let clock = world.clock.clone();
        let time = future::spawn(async move {
            for now in [DUE, LEEWAY, 96, 98] {
                clock.set(now);
                future::yield_now().await;
            }
        });
        world.run(2, |cache| async move {
            for _ in 0..3 {
                cache.lease(None).await.expect("the token has not expired");
                future::yield_now().await;
            }
        });
        join(vec![time]);
    });
}

#[test]
fn t2_a_forced_renewal_does_not_join_one_that_has_failed_already() {
    check(|| {
        let world = World::new(Script::FailsFirst);
        let mut callers = world.spawn(1, |cache| async move {
            // The failure, or the token of the second call.
            let _ = cache.lease(None).await;
        });
        callers.extend(world.spawn(1, |cache| async move {
            while cache.status().failures == 0 {
                future::yield_now().await;
            }
            cache.renew().await.expect("the second call gives a token");
        }));
        join(callers);
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn t7_a_dropped_caller_does_not_end_the_fetch() {
    check(|| {
        let world = World::new(Script::Succeeds);
        let polls = thread_rng().gen_range(0..4);
        let mut callers = world.spawn(1, move |cache| async move {
            let mut wait = Box::pin(cache.lease(None));
            for _ in 0..polls {
                if (&mut wait).now_or_never().is_some() {
                    return;
                }
                future::yield_now().await;
            }
        });
        callers.extend(world.spawn(2, |cache| async move {
            cache.lease(None).await.unwrap();
        }));
        join(callers);
        assert_eq!(world.calls(), 1);
    });
}

#[test]
fn t7_callers_get_a_token_although_a_runtime_stops() {
    check(|| {
        let world = World::new(Script::Succeeds);
        world.runs.stop_next();
        world.run(3, |cache| async move {
            cache.lease(None).await.unwrap();
        });
        assert!(world.calls() <= 2);
        assert_eq!(world.cache.status().renewals, 1);
    });
}

#[test]
fn t7_rejections_and_forced_renewals_end_although_a_runtime_stops() {
    check(|| {
        let world = World::with_token(Script::Succeeds);
        world.runs.stop_next();
        let one = world.cache.ready().unwrap();
        let rejecting = world.spawn(2, move |cache| {
            let one = one.clone();
            async move { drop(replace(&cache, &one).await.unwrap()) }
        });
        let forcing = world.spawn(1, |cache| async move {
            cache.renew().await.unwrap();
        });
        join(rejecting);
        join(forcing);
    });
}

#[test]
fn t7_a_cache_that_is_dropped_aborts_its_fetch() {
    check(|| {
        let world = World::new(Script::Hangs);
        assert!(world.cache.header().is_none());
        let clone = world.cache.clone();
        let other = future::spawn(async move { drop(clone) });
        drop(world.cache);
        join(vec![other]);
        // If the fetch were not aborted, the checker would report that the test never ends.
        world.runs.until_all_ended();
    });
}

#[test]
fn t8_rejections_of_one_token_cause_one_call() {
    check(|| {
        let world = World::with_token(Script::Succeeds);
        let one = world.cache.ready().unwrap();
        world.run(3, move |cache| {
            let one = one.clone();
            async move {
                assert_eq!(replace(&cache, &one).await.unwrap().generation(), 2);
            }
        });
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn t8_a_token_that_is_rejected_at_once_is_replaced() {
    check(|| {
        let world = World::new(Script::Succeeds);
        world.run(2, |cache| async move {
            let lease = loop {
                if let Some(lease) = cache.ready() {
                    break lease;
                }
                future::yield_now().await;
            };
            let other = replace(&cache, &lease).await.unwrap();
            assert_ne!(other.generation(), lease.generation());
        });
    });
}

#[test]
fn t8_a_rejection_whose_renewal_fails_does_not_affect_readers() {
    check(|| {
        let world = World::with_token(Script::SucceedsOnce);
        let one = world.cache.ready().unwrap();
        let rejecting = world.spawn(2, move |cache| {
            let one = one.clone();
            async move { assert!(replace(&cache, &one).await.is_err()) }
        });
        let readers = world.spawn(2, |cache| async move {
            let lease = cache.lease(None).now_or_never().expect("does not wait");
            assert_eq!(lease.unwrap().generation(), 1);
        });
        join(rejecting);
        join(readers);
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn generations_never_decrease() {
    check(|| {
        let world = World::with_token(Script::FailsSecond);
        let one = world.cache.ready().unwrap();
        let clock = world.clock.clone();
        let mut all = vec![future::spawn(async move {
            for now in [DUE, LEEWAY] {
                clock.set(now);
                future::yield_now().await;
            }
        })];
        all.extend(world.spawn(2, |cache| async move {
            let mut last = 1;
            for _ in 0..3 {
                let lease = cache.lease(None).await.expect("there is a valid token");
                assert!(lease.generation() >= last, "an older token came back");
                last = lease.generation();
                future::yield_now().await;
            }
        }));
        all.extend(world.spawn(1, move |cache| {
            let one = one.clone();
            async move {
                if let Ok(other) = replace(&cache, &one).await {
                    assert_ne!(other.generation(), one.generation());
                }
            }
        }));
        all.extend(world.spawn(1, |cache| async move {
            cache.set_token(token("set-by-caller")).unwrap();
        }));
        all.extend(world.spawn(1, |cache| async move {
            let _ = cache.renew().await;
        }));
        join(all);
        world.settle();
        let status = world.cache.status();
        assert_eq!(status.renewals + status.failures, world.calls() as u64);
    });
}

/// Tries random schedules, and schedules with few task switches, which find other bugs.
pub(crate) fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 1000);
    shuttle::check_pct(test, 500, 3);
}

async fn replace(cache: &TokenCache, rejected: &Lease) -> Result<Lease, Error> {
    cache.replace(rejected, &Challenges::default(), None).await
}

struct World {
    cache: TokenCache,
    source: Arc<Scripted>,
    clock: Time,
    runs: Runs,
}

impl World {
    fn new(script: Script) -> Self {
        let runs = Runs::default();
        let source = Arc::new(Scripted {
            script,
            calls: AtomicUsize::default(),
            running: AtomicUsize::default(),
            overlaps: AtomicUsize::default(),
        });
        let clock = Time::default();
        let cache = TokenCache::builder(Arc::clone(&source))
            .clock(clock.clone())
            .runtime(runs.clone())
            .build()
            .unwrap();
        Self {
            cache,
            source,
            clock,
            runs,
        }
    }

    fn with_token(script: Script) -> Self {
        let world = Self::new(script);
        future::block_on(world.cache.lease(None)).unwrap();
        world
    }

    fn calls(&self) -> usize {
        self.source.calls.load(Ordering::Relaxed)
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        count: usize,
        caller: impl Fn(TokenCache) -> F,
    ) -> Vec<future::JoinHandle<()>> {
        (0..count)
            .map(|_| future::spawn(caller(self.cache.clone())))
            .collect()
    }

    /// Runs callers to their end.
    fn run<F: Future<Output = ()> + Send + 'static>(
        &self,
        count: usize,
        caller: impl Fn(TokenCache) -> F,
    ) {
        join(self.spawn(count, caller));
    }

    /// Waits until no renewal runs.
    fn settle(&self) {
        self.runs.until_all_ended();
        assert!(!self.cache.status().renewing, "a renewal was not removed");
    }
}

pub(crate) fn join(callers: Vec<future::JoinHandle<()>>) {
    for caller in callers {
        future::block_on(caller).unwrap();
    }
}

pub(crate) fn token(text: &str) -> Token {
    Token::new(text).unwrap().expires_in(LIFETIME)
}

/// A source that checks that its calls never overlap.
struct Scripted {
    script: Script,
    calls: AtomicUsize,
    running: AtomicUsize,
    overlaps: AtomicUsize,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(*self.overlaps.get_mut(), 0, "two calls ran at once");
        }
    }
}

#[derive(Clone, Copy)]
enum Script {
    Succeeds,
    SucceedsOnce,
    Fails,
    FailsFirst,
    FailsSecond,
    Hangs,
}

impl TokenSource for Scripted {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        struct Running<'a>(&'a AtomicUsize);

        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }

        Box::pin(async move {
            // Counted, because the cache would take a panic for a failed call.
            let others = self.running.fetch_add(1, Ordering::Relaxed);
            self.overlaps.fetch_add(others, Ordering::Relaxed);
            let _running = Running(&self.running);
            let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            yield_in_fetch().await;
            match (self.script, call) {
                (Script::Hangs, _) => std::future::pending().await,
                (Script::Fails, _)
                | (Script::SucceedsOnce, 2..)
                | (Script::FailsFirst, 1)
                | (Script::FailsSecond, 2) => Err(Error::unavailable("down")),
                _ => Ok(token(&format!("token-{call}"))),
            }
        })
    }
}

/// Lets other tasks run within a fetch. A fetch is polled twice at once (`clock::within`), so one yield would be none.
pub(crate) async fn yield_in_fetch() {
    future::yield_now().await;
    future::yield_now().await;
}
