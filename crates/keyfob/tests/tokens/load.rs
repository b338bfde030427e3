//! Many callers at once, on free-running threads and on the default runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use keyfob::TokenCache;
use keyfob_testkit::GatedSource;

use crate::harness::{Harness, SECOND, ends, poll, ready, token};

#[test]
fn t1_ten_thousand_waiters_cause_one_fetch() {
    let harness = Harness::new();
    let mut callers: Vec<_> = (0..10_000)
        .map(|_| Box::pin(harness.cache.lease(None)))
        .collect();
    for caller in &mut callers {
        assert!(poll(caller).is_pending());
    }
    // Every second caller is dropped.
    let mut keep = false;
    callers.retain(|_| {
        keep = !keep;
        keep
    });
    harness.respond(token("one", 100));
    for caller in &mut callers {
        assert!(ready(poll(caller)).is_ok());
    }
    assert_eq!(harness.calls(), 1);
}

#[test]
fn t1_two_hundred_threads_blocking_cause_one_fetch() {
    ends(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let cache = TokenCache::new(keyfob::hook_blocking(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            token("one", 1000)
        }));
        let barrier = Arc::new(Barrier::new(200));
        let threads: Vec<_> = (0..200)
            .map(|_| {
                let (cache, barrier) = (cache.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    cache.lease_blocking(None).unwrap().generation()
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 1);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_tasks_of_a_runtime_cause_one_fetch() {
    let source = GatedSource::new();
    let cache = TokenCache::new(source.clone());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.lease(Some(SECOND * 30)).await.unwrap().generation() })
        })
        .collect();
    source.next_call().await.respond(token("one", 1000));
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(source.calls(), 1);
}

#[test]
fn t7_a_runtime_shutdown_leaves_no_caller_of_another_runtime_waiting() {
    ends(|| {
        let source = GatedSource::new();
        let cache = TokenCache::new(source.clone());
        let stopping = tokio::runtime::Runtime::new().unwrap();
        stopping.block_on(async { assert!(cache.header().is_none()) });
        let waiting = {
            let cache = cache.clone();
            thread::spawn(move || cache.get_valid_token_blocking().unwrap())
        };
        let other = tokio::runtime::Runtime::new().unwrap();
        let call = other.block_on(source.next_call());
        stopping.shutdown_background();
        // With the feature `tokio` the fetch ends with its runtime, and the waiting caller starts another.
        let call = if cfg!(feature = "tokio") {
            other.block_on(call.until_dropped());
            other.block_on(source.next_call())
        } else {
            call
        };
        call.respond(token("one", 1000));
        assert_eq!(waiting.join().unwrap().expose(), "one");
    });
}

#[test]
fn t7_a_blocking_call_in_a_task_of_a_runtime_with_one_thread_ends() {
    ends(|| {
        let cache = TokenCache::new(keyfob::hook_blocking(|_| token("one", 1000)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let got = runtime.block_on(async { cache.get_valid_token_blocking() });
        assert_eq!(got.unwrap().expose(), "one");
    });
}
