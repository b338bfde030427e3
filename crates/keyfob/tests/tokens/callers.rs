//! T7: dropped callers, hooks that panic or hang, and runtimes that stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keyfob::exchange::Challenges;
use keyfob::runtime::Runtime;
use keyfob::source::{TokenFuture, TokenRequest};
use keyfob::{Error, ErrorKind, Token, TokenCache, TokenSource};
use keyfob_testkit::{GatedSource, ManualClock};

use crate::harness::{Harness, SECOND, Tasks, poll, ready, token};

#[test]
fn t7_a_caller_may_be_dropped_at_any_await_point() {
    for stage in 0..=4 {
        let harness = Harness::new();
        let mut first = Box::pin(harness.cache.lease(None));
        if stage >= 1 {
            assert!(poll(&mut first).is_pending());
        }
        if stage >= 2 {
            harness.tasks.run();
        }
        if stage >= 3 {
            harness.call().respond(token("one", 100));
        }
        if stage >= 4 {
            harness.tasks.run();
        }
        drop(first);
        let mut second = Box::pin(harness.cache.lease(None));
        if stage < 3 {
            assert!(poll(&mut second).is_pending());
            harness.respond(token("one", 100));
        }
        harness.tasks.run();
        assert_eq!(
            ready(poll(&mut second)).unwrap().token().expose(),
            "one",
            "dropped at stage {stage}"
        );
        assert_eq!(harness.calls(), 1, "dropped at stage {stage}");
    }
}

#[test]
fn t7_a_dropped_caller_with_a_deadline_leaves_no_timer() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(Some(SECOND)));
    assert!(poll(&mut caller).is_pending());
    assert_eq!(harness.clock.sleepers(), 1);
    drop(caller);
    assert_eq!(harness.clock.sleepers(), 0);
    harness.respond(token("one", 100));
    assert_eq!(harness.clock.sleepers(), 0);
}

#[test]
fn t7_a_panic_is_the_error_of_that_attempt() {
    let harness = Harness::new();
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    harness.call().panic();
    harness.tasks.run();
    let error = ready(poll(&mut caller)).unwrap_err();
    assert_eq!(error.to_string(), "the token source panicked");
    assert!(harness.lease().is_err(), "cooled down like any failure");
    assert_eq!(harness.calls(), 1);
    harness.pass(1.0);
    harness.fetch(token("one", 100)).unwrap();
}

#[test]
fn t7_a_panic_before_the_first_await_is_the_error_of_that_attempt() {
    struct Panics;

    impl TokenSource for Panics {
        fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
            panic!("no future at all")
        }
    }

    let error = TokenCache::new(Panics)
        .get_valid_token_blocking()
        .unwrap_err();
    assert_eq!(error.to_string(), "the token source panicked");
}

#[test]
fn t7_if_the_runtime_stops_the_next_waiter_starts_the_fetch_again() {
    let harness = Harness::new();
    let mut first = Box::pin(harness.cache.lease(None));
    let mut second = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    drop(harness.call());
    harness.tasks.stop();
    assert!(poll(&mut second).is_pending());
    assert!(poll(&mut first).is_pending());
    assert!(harness.cache.status().renewing);
    harness.respond(token("one", 100));
    assert!(ready(poll(&mut first)).is_ok());
    assert!(ready(poll(&mut second)).is_ok());
    assert_eq!(harness.calls(), 2);
    assert_eq!(harness.cache.status().failures, 0);
}

#[test]
fn t7_if_the_runtime_stops_a_forced_renewal_starts_again() {
    let harness = Harness::with_token("one", 100);
    let mut forced = Box::pin(harness.cache.renew());
    assert!(poll(&mut forced).is_pending());
    harness.tasks.stop();
    assert!(poll(&mut forced).is_pending());
    harness.respond(token("two", 100));
    assert_eq!(ready(poll(&mut forced)).unwrap().expose(), "two");
}

#[test]
fn t7_if_the_runtime_stops_a_renewal_after_a_rejection_starts_again() {
    let harness = Harness::new();
    let one = harness.fetch(token("one", 100)).unwrap();
    let none = Challenges::default();
    let mut rejecting = Box::pin(harness.cache.replace(&one, &none, None));
    assert!(poll(&mut rejecting).is_pending());
    harness.tasks.stop();
    assert!(poll(&mut rejecting).is_pending());
    harness.respond(token("two", 100));
    assert_eq!(ready(poll(&mut rejecting)).unwrap().token().expose(), "two");
}

#[test]
fn t7_if_the_runtime_stops_the_next_reader_of_a_due_token_renews_it() {
    let harness = Harness::with_token("one", 100);
    harness.pass(80.0);
    assert!(harness.served().is_some());
    drop(harness.call());
    harness.tasks.stop();
    assert!(!harness.cache.status().renewing);
    assert_eq!(harness.served().unwrap(), "one");
    harness.respond(token("two", 100));
    assert_eq!(harness.served().unwrap(), "two");
}

#[cfg(feature = "tokio")]
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "threads of keyfob run in real time"
)]
fn t3_a_due_inner_token_is_renewed_although_the_outer_renewal_ends_first() {
    let clock = ManualClock::default();
    let inner = TokenCache::builder(keyfob::hook(|_| async {
        // The outer renewal has ended long before this.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(("inner", SECOND * 100))
    }));
    let inner = inner.clock(clock.clone()).build().unwrap();
    let link = inner.clone();
    let outer = TokenCache::builder(keyfob::hook(move |_| {
        let link = link.clone();
        async move {
            link.get_valid_token()
                .await
                .map(|_| ("outer", SECOND * 100))
        }
    }));
    let outer = outer.clock(clock.clone()).build().unwrap();
    outer.get_valid_token_blocking().unwrap();
    clock.advance(SECOND * 80);
    // Both are due. No caller is on a runtime, so each renewal is on a thread of keyfob.
    outer.get_valid_token_blocking().unwrap();
    for _ in 0..2000 {
        if inner.status().renewals == 2 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the renewal is lost: {:?}", inner.status());
}

#[test]
fn t7_a_renewal_whose_runtime_is_not_driven_is_taken_over() {
    let harness = Harness::with(|builder| builder.fetch_timeout(SECOND * 5));
    assert!(harness.cache.header().is_none());
    // Another runtime has the task, and nothing drives it.
    let abandoned = harness.tasks.hand_over();
    let mut waiting = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut waiting).is_pending());
    harness.clock.advance(SECOND * 6);
    assert!(poll(&mut waiting).is_pending());
    harness.clock.advance(SECOND);
    assert!(poll(&mut waiting).is_pending());
    let mut late = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut late).is_pending());
    harness.respond(token("one", 100));
    assert!(ready(poll(&mut waiting)).is_ok());
    assert!(ready(poll(&mut late)).is_ok());
    // If it is driven again, it does nothing.
    abandoned.run();
    assert_eq!(harness.calls(), 1);
}

/// Holds a lock while it asks the source, as one that asks for the metadata of the server first.
struct Locked(Arc<futures_util::lock::Mutex<()>>, GatedSource);

impl TokenSource for Locked {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let _held = self.0.lock().await;
            self.1.fetch(request).await
        })
    }
}

#[test]
fn t7_a_renewal_that_is_taken_over_keeps_no_lock_of_the_source() {
    let (clock, tasks, source) = (ManualClock::default(), Tasks::default(), GatedSource::new());
    let cache = TokenCache::builder(Locked(Arc::default(), source.clone()))
        .clock(clock.clone())
        .runtime(tasks.clone())
        .fetch_timeout(SECOND * 5)
        .build()
        .unwrap();
    let mut caller = Box::pin(cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    tasks.run();
    // The source has the lock, and nothing drives its runtime.
    let abandoned = tasks.hand_over();
    let first = source.next_call().now_or_never().unwrap();
    for _ in 0..2 {
        clock.advance(SECOND * 6);
        assert!(poll(&mut caller).is_pending());
    }
    tasks.run();
    assert!(first.was_dropped());
    let second = source.next_call().now_or_never().unwrap();
    second.respond(token("one", 100));
    tasks.run();
    assert!(ready(poll(&mut caller)).is_ok());
    abandoned.run();
    assert_eq!(source.calls(), 2);
}

#[cfg(feature = "tokio")]
#[test]
fn t7_a_blocking_caller_takes_over_from_a_tokio_runtime_that_is_not_driven() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hook = keyfob::hook(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            token("one", 100)
        }
    });
    let cache = TokenCache::builder(hook)
        .fetch_timeout(SECOND / 10)
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert!(cache.header().is_none());
        while calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    });
    let lease = crate::harness::ends(move || cache.lease_blocking(None));
    assert_eq!(lease.unwrap().token().expose(), "one");
    drop(runtime);
}

#[test]
fn t7_a_runtime_that_runs_no_tasks_is_an_error() {
    #[derive(Default)]
    struct Stopped(AtomicUsize);

    impl Runtime for Stopped {
        fn spawn(&self, _: BoxFuture<'static, ()>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {}
    }

    let cache = TokenCache::builder(keyfob::EnvToken::new("KEYFOB_NEVER_SET"))
        .runtime(Stopped::default())
        .build()
        .unwrap();
    let error = cache.get_valid_token_blocking().unwrap_err();
    assert!(error.to_string().contains("the runtime stopped"), "{error}");
    assert!(!cache.status().renewing);
}

#[test]
fn t7_a_callers_deadline_does_not_end_the_shared_fetch() {
    let harness = Harness::new();
    let mut hasty = Box::pin(harness.cache.lease(Some(SECOND)));
    let mut patient = Box::pin(harness.cache.lease(Some(SECOND * 9)));
    assert!(poll(&mut hasty).is_pending());
    assert!(poll(&mut patient).is_pending());
    let call = harness.call();
    harness.pass(1.0);
    assert_eq!(
        ready(poll(&mut hasty)).unwrap_err().kind(),
        ErrorKind::Deadline
    );
    assert!(poll(&mut patient).is_pending());
    call.respond(token("one", 100));
    harness.tasks.run();
    assert!(ready(poll(&mut patient)).is_ok());
    assert_eq!(harness.calls(), 1);
}

#[test]
fn t7_a_blocking_caller_can_have_a_deadline() {
    let harness = Harness::new();
    let error = harness
        .cache
        .lease_blocking(Some(Duration::ZERO))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    harness.respond(token("one", 100));
    assert!(harness.cache.lease_blocking(Some(Duration::ZERO)).is_ok());
}

#[test]
fn t7_a_hook_that_hangs_is_abandoned_after_the_fetch_timeout() {
    let harness = Harness::with(|builder| builder.fetch_timeout(SECOND * 5));
    let mut caller = Box::pin(harness.cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    let call = harness.call();
    assert_eq!(call.request().timeout(), SECOND * 5);
    harness.pass(4.9);
    assert!(poll(&mut caller).is_pending());
    harness.pass(0.1);
    let error = ready(poll(&mut caller)).unwrap_err();
    assert!(error.to_string().contains("within 5 s"), "{error}");
    assert!(call.was_dropped());
    harness.pass(1.0);
    harness.fetch(token("one", 100)).unwrap();
}

#[test]
fn t7_a_blocking_hook_that_hangs_is_abandoned_after_the_fetch_timeout() {
    /// Runs tasks, but never runs blocking work.
    struct Hung(Tasks);

    impl Runtime for Hung {
        fn spawn(&self, task: BoxFuture<'static, ()>) {
            self.0.spawn(task);
        }

        fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
            std::mem::forget(work);
        }
    }

    let (clock, tasks) = (ManualClock::default(), Tasks::default());
    let cache = TokenCache::builder(keyfob::hook_blocking(|_| token("never", 100)))
        .clock(clock.clone())
        .runtime(Hung(tasks.clone()))
        .build()
        .unwrap();
    let mut caller = Box::pin(cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    tasks.run();
    clock.advance(keyfob::cache::TokenCacheBuilder::FETCH_TIMEOUT);
    tasks.run();
    let error = ready(poll(&mut caller)).unwrap_err();
    assert!(error.to_string().contains("within 30 s"), "{error}");
}

#[test]
fn t7_a_cache_that_is_dropped_aborts_its_fetch() {
    let Harness {
        clock,
        source,
        tasks,
        cache,
    } = Harness::new();
    assert!(cache.header().is_none());
    tasks.run();
    let mut call = Box::pin(source.next_call());
    let call = ready(poll(&mut call));
    let clone = cache.clone();
    drop(cache);
    tasks.run();
    assert!(!call.was_dropped(), "a clone still uses it");
    drop(clone);
    tasks.run();
    assert!(call.was_dropped());
    assert_eq!(tasks.len(), 0);
    assert_eq!(clock.sleepers(), 0);
}

#[test]
fn t7_a_hook_that_uses_its_own_cache_gets_an_error_instead_of_a_deadlock() {
    let own: Arc<std::sync::OnceLock<TokenCache>> = Arc::default();
    let tasks = Tasks::default();
    let hook = keyfob::hook({
        let own = Arc::clone(&own);
        move |_| {
            let cache = own.get().unwrap().clone();
            async move { cache.get_valid_token().await }
        }
    });
    let cache = TokenCache::builder(hook)
        .runtime(tasks.clone())
        .build()
        .unwrap();
    own.set(cache.clone()).unwrap();
    let mut caller = Box::pin(cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    tasks.run();
    let error = ready(poll(&mut caller)).unwrap_err();
    assert!(error.to_string().contains("wait for itself"), "{error}");
}

#[test]
fn t7_a_blocking_hook_that_uses_its_own_cache_gets_an_error_instead_of_a_deadlock() {
    let own: Arc<std::sync::OnceLock<TokenCache>> = Arc::default();
    let hook = keyfob::hook_blocking({
        let own = Arc::clone(&own);
        move |_| own.get().unwrap().get_valid_token_blocking()
    });
    let cache = TokenCache::new(hook);
    own.set(cache.clone()).unwrap();
    let error = crate::harness::ends(move || cache.get_valid_token_blocking().unwrap_err());
    assert!(error.to_string().contains("wait for itself"), "{error}");
}

#[test]
fn t3_a_hook_that_uses_its_own_cache_gets_the_token_while_it_is_valid() {
    let own: Arc<std::sync::OnceLock<TokenCache>> = Arc::default();
    let (clock, tasks) = (ManualClock::default(), Tasks::default());
    let hook = keyfob::hook({
        let own = Arc::clone(&own);
        move |_| {
            let cache = own.get().unwrap().clone();
            async move {
                let old = cache.get_valid_token().await?;
                token(&format!("{}-next", old.expose()), 100)
            }
        }
    });
    let cache = TokenCache::builder(hook)
        .clock(clock.clone())
        .runtime(tasks.clone())
        .token(token("one", 100).unwrap())
        .build()
        .unwrap();
    own.set(cache.clone()).unwrap();
    clock.advance(SECOND * 91);
    let mut caller = Box::pin(cache.lease(None));
    assert!(poll(&mut caller).is_pending());
    tasks.run();
    assert_eq!(
        ready(poll(&mut caller)).unwrap().token().expose(),
        "one-next"
    );
}
