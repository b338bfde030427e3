//! The cache under a model checker, which tries thousands of interleavings of its callers and renewals.
//!
//! Run it with `RUSTFLAGS="--cfg shuttle" cargo test -p keyfob --no-default-features --lib model::`, and with a target
//! folder of its own. A caller that waits for ever is found too: the checker reports a deadlock.
//!
//! All tasks share one thread, so nothing in a fetch may hand over to another task within a poll: the mark that tells a
//! hook from other callers belongs to the thread. Fetches give way by returning `Pending`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::clock::clock::{Clock, CoarseTime};
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::runtime::runtime::Runtime;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// Tokens live so long; they are due from at most 75 s on, and their leeway begins at 90 s.
const LIFETIME: Duration = Duration::from_secs(100);

const DUE: u64 = 80;
const LEEWAY: u64 = 95;

#[test]
fn t1_readers_of_a_missing_token_cause_one_call() {
    check(|| {
        let world = World::new(Script::Answers);
        let readers = world.spawn(3, |cache| async move {
            assert_eq!(cache.lease(None).await.unwrap().generation(), 1);
        });
        join(readers);
        assert_eq!(world.calls(), 1);
    });
}

#[test]
fn t2_readers_of_a_missing_token_share_one_failure() {
    check(|| {
        let world = World::new(Script::Fails);
        let readers = world.spawn(3, |cache| async move {
            assert!(cache.lease(None).await.is_err());
        });
        join(readers);
        assert_eq!(world.calls(), 1);
        assert_eq!(world.cache.status().failures, 1);
    });
}

#[test]
fn t3_readers_of_a_due_token_never_wait_and_cause_one_call() {
    check(|| {
        let world = World::with_token(Script::Answers);
        world.clock.set(DUE);
        let readers = world.spawn(3, |cache| async move {
            for _ in 0..2 {
                let lease = cache.lease(None).now_or_never().expect("does not wait");
                assert!(lease.is_ok());
                assert!(cache.header().is_some());
                future::yield_now().await;
            }
        });
        join(readers);
        world.settle();
        assert_eq!(world.calls(), 2);
        assert_eq!(world.cache.status().generation, 2);
    });
}

#[test]
fn t3_readers_in_the_leeway_get_the_token_though_its_renewal_fails() {
    check(|| {
        let world = World::with_token(Script::AnswersOnce);
        world.clock.set(LEEWAY);
        let readers = world.spawn(3, |cache| async move {
            assert_eq!(cache.lease(None).await.unwrap().generation(), 1);
        });
        join(readers);
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn t3_a_token_is_served_while_time_passes_up_to_its_end() {
    check(|| {
        let world = World::with_token(Script::AnswersOnce);
        let clock = Arc::clone(&world.clock);
        let time = future::spawn(async move {
            for now in [DUE, LEEWAY, 96, 98] {
                clock.set(now);
                future::yield_now().await;
            }
        });
        let readers = world.spawn(2, |cache| async move {
            for _ in 0..3 {
                cache.lease(None).await.expect("the token has not expired");
                future::yield_now().await;
            }
        });
        join(readers);
        join(vec![time]);
    });
}

#[test]
fn t2_a_forced_renewal_does_not_join_one_that_has_failed_already() {
    check(|| {
        let world = World::new(Script::FailsFirst);
        let mut callers = world.spawn(1, |cache| async move {
            // Its failure, or the token that has come meanwhile.
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
fn t7_a_dropped_caller_takes_nothing_along() {
    check(|| {
        let world = World::new(Script::Answers);
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
fn t7_a_runtime_that_stops_leaves_nobody_behind() {
    check(|| {
        let world = World::on(Runs::stops_first(), Script::Answers);
        let readers = world.spawn(3, |cache| async move {
            cache.lease(None).await.unwrap();
        });
        join(readers);
        assert!(world.calls() <= 2);
        assert_eq!(world.cache.status().renewals, 1);
    });
}

#[test]
fn t7_a_runtime_that_stops_leaves_no_rejection_and_no_forced_renewal_behind() {
    check(|| {
        let world = World::with_token(Script::Answers);
        world.runs.stop_next();
        let one = world.lease();
        let rejecting = world.spawn(2, move |cache| {
            let one = one.clone();
            async move {
                let none = Challenges::default();
                cache.replace(&one, &none, None).await.unwrap();
            }
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
        let World { cache, runs, .. } = world;
        drop(cache);
        join(vec![other]);
        // The checker gives up on a test that goes on for ever.
        runs.until_all_ended();
    });
}

#[test]
fn t8_rejections_of_one_token_cause_one_call() {
    check(|| {
        let world = World::with_token(Script::Answers);
        let one = world.lease();
        let rejecting = world.spawn(3, move |cache| {
            let one = one.clone();
            async move {
                let none = Challenges::default();
                let other = cache.replace(&one, &none, None).await.unwrap();
                assert_eq!(other.generation(), 2);
            }
        });
        join(rejecting);
        assert_eq!(world.calls(), 2);
    });
}

#[test]
fn t8_a_token_that_is_rejected_as_soon_as_it_is_there_is_replaced() {
    check(|| {
        let world = World::new(Script::Answers);
        let rejecting = world.spawn(2, |cache| async move {
            let lease = loop {
                if let Some(lease) = cache.ready() {
                    break lease;
                }
                future::yield_now().await;
            };
            let none = Challenges::default();
            let other = cache.replace(&lease, &none, None).await.unwrap();
            assert_ne!(other.generation(), lease.generation());
        });
        join(rejecting);
    });
}

#[test]
fn t8_a_rejection_whose_renewal_fails_costs_the_readers_nothing() {
    check(|| {
        let world = World::with_token(Script::AnswersOnce);
        let one = world.lease();
        let rejecting = world.spawn(2, move |cache| {
            let one = one.clone();
            async move {
                let none = Challenges::default();
                assert!(cache.replace(&one, &none, None).await.is_err());
            }
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
fn generations_only_grow_whatever_happens() {
    check(|| {
        let world = World::with_token(Script::FailsSecond);
        let one = world.lease();
        let clock = Arc::clone(&world.clock);
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
                let none = Challenges::default();
                if let Ok(other) = cache.replace(&one, &none, None).await {
                    assert_ne!(other.generation(), one.generation());
                }
            }
        }));
        all.extend(world.spawn(1, |cache| async move {
            cache.set_token(token("handed-in")).unwrap();
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

/// Tries schedules at random, and such as find bugs that need few changes of task at the right places.
fn check(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), 1000);
    shuttle::check_pct(test, 500, 3);
}

struct World {
    cache: TokenCache,
    source: Arc<Scripted>,
    clock: Arc<Time>,
    runs: Runs,
}

impl World {
    fn new(script: Script) -> Self {
        Self::on(Runs::default(), script)
    }

    fn on(runs: Runs, script: Script) -> Self {
        let source = Arc::new(Scripted {
            script,
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            overlaps: AtomicUsize::new(0),
        });
        let clock = Arc::new(Time(AtomicU64::new(0)));
        let cache = TokenCache::builder(Arc::clone(&source))
            .clock(SharedTime(Arc::clone(&clock)))
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

    fn lease(&self) -> Lease {
        self.cache.ready().unwrap()
    }

    fn calls(&self) -> usize {
        self.source.calls.load(Ordering::Relaxed)
    }

    fn spawn<F>(&self, count: usize, caller: impl Fn(TokenCache) -> F) -> Vec<Caller>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        (0..count)
            .map(|_| future::spawn(caller(self.cache.clone())))
            .collect()
    }

    /// Waits until no renewal runs.
    fn settle(&self) {
        self.runs.until_all_ended();
        assert!(!self.cache.status().renewing, "a flight was left behind");
    }
}

type Caller = future::JoinHandle<()>;

fn join(callers: Vec<Caller>) {
    for caller in callers {
        future::block_on(caller).unwrap();
    }
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap().expires_in(LIFETIME)
}

/// A source that asserts that it is called by one at a time.
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
    Answers,
    AnswersOnce,
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
            let others = self.running.fetch_add(1, Ordering::Relaxed);
            let _running = Running(&self.running);
            let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            // Not a panic, which the cache would take for a failed call.
            self.overlaps.fetch_add(others, Ordering::Relaxed);
            future::yield_now().await;
            match (self.script, call) {
                (Script::Hangs, _) => std::future::pending().await,
                (Script::Fails, _)
                | (Script::AnswersOnce, 2..)
                | (Script::FailsFirst, 1)
                | (Script::FailsSecond, 2) => Err(Error::unavailable("down")),
                _ => Ok(token(&format!("token-{call}"))),
            }
        })
    }
}

/// A clock that shows what it was set to.
struct Time(AtomicU64);

impl Time {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

struct SharedTime(Arc<Time>);

impl Clock for SharedTime {
    fn coarse_time(&self) -> CoarseTime {
        let now = self.0.0.load(Ordering::Relaxed) * 1_000_000_000;
        CoarseTime {
            monotonic: now,
            wall: now,
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.0.load(Ordering::Relaxed))
    }

    /// No limit of time is reached in these tests.
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Runs renewals as tasks of the checker; can drop one before its end, as a runtime does that stops.
#[derive(Clone, Default)]
struct Runs {
    running: Arc<AtomicUsize>,
    stop_next: Arc<AtomicUsize>,
}

impl Runs {
    fn stops_first() -> Self {
        let runs = Self::default();
        runs.stop_next();
        runs
    }

    fn stop_next(&self) {
        self.stop_next.store(1, Ordering::Relaxed);
    }

    fn until_all_ended(&self) {
        while self.running.load(Ordering::Relaxed) > 0 {
            shuttle::thread::yield_now();
        }
    }
}

impl Runtime for Runs {
    fn spawn(&self, mut task: BoxFuture<'static, ()>) {
        let stops = self.stop_next.swap(0, Ordering::Relaxed) == 1;
        let running = Arc::clone(&self.running);
        running.fetch_add(1, Ordering::Relaxed);
        let task = async move {
            if stops {
                for _ in 0..thread_rng().gen_range(0..3) {
                    if (&mut task).now_or_never().is_some() {
                        break;
                    }
                    future::yield_now().await;
                }
            } else {
                task.await;
            }
            running.fetch_sub(1, Ordering::Relaxed);
        };
        drop(future::spawn(task));
    }

    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {
        unreachable!("no source here blocks")
    }
}
