//! The callers of a pool are on several tokio runtimes, and some of these stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_util::future;
use keyfob::{Token, TokenPool, hook};
use keyfob_testkit::GatedSource;
use tokio::runtime::{Builder, Runtime};

use crate::harness::{SECOND, poll, token};
use crate::pool::key;

fn single_threaded() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn t7_a_fetch_that_waited_runs_on_the_runtime_of_its_caller_and_not_on_one_that_stops() {
    let sources = [
        ("first", GatedSource::new()),
        ("second", GatedSource::new()),
    ];
    let [(_, first), (_, second)] = sources.clone();
    let pool = TokenPool::builder(move |key| {
        let (_, source) = sources
            .iter()
            .find(|(subject, _)| *subject == key.subject())
            .unwrap();
        Ok(source.clone())
    });
    let pool = pool.fetches_at_once(1).build().unwrap();
    let (one, two) = (key("first"), key("second"));
    let (stops, stays) = (single_threaded(), single_threaded());
    let mut waits = Box::pin(pool.lease(&two, None));
    stops.block_on(async {
        let mut lease = Box::pin(pool.lease(&one, None));
        assert!(poll(&mut lease).is_pending());
        {
            let _caller = stays.enter();
            assert!(poll(&mut waits).is_pending());
        }
        first.next_call().await.respond(token("1", 100));
        lease.await.unwrap();
        // The runtime goes on for a while, in which the second fetch could begin on it.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    });
    drop(stops);
    let lease = stays.block_on(async {
        let call = async { second.next_call().await.respond(token("2", 100)) };
        future::join(waits, call).await.0
    });
    assert_eq!(lease.unwrap().token().expose(), "2");
    assert_eq!(second.calls(), 1);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "threads of keyfob run in real time"
)]
fn t7_many_short_runtimes_over_one_pool_get_their_tokens_with_one_fetch_each() {
    const CALLERS: usize = 24;
    let fetches = Arc::new(AtomicUsize::new(0));
    let of_pool = Arc::clone(&fetches);
    let pool = TokenPool::builder(move |_| {
        let fetches = Arc::clone(&of_pool);
        Ok(hook(move |_| {
            fetches.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(SECOND / 100).await;
                Token::new("t")
            }
        }))
    });
    let pool = pool.fetches_at_once(2).build().unwrap();
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let (pool, key) = (&pool, key(&number.to_string()));
            scope.spawn(move || match number % 3 {
                // A caller without a runtime: its fetch has a thread, which ends with it.
                0 => drop(pool.lease_blocking(&key, None).unwrap()),
                _ => drop(single_threaded().block_on(pool.lease(&key, None)).unwrap()),
            });
        }
    });
    assert_eq!(fetches.load(Ordering::SeqCst), CALLERS);
}
