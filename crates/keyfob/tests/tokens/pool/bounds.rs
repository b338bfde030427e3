//! The memory of a pool is bounded, and what must not be lost stays.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use keyfob::pool::PoolKey;
use keyfob::{ErrorKind, FixedToken, Token, TokenPool};

use crate::harness::{SECOND, ends, poll, ready, token};
use crate::pool::{Pool, Rotating, key};

/// Uses so many new keys, each of them often, that every other key is evicted.
fn crowd(pool: &Pool, name: &str) {
    for number in 0..100 {
        let subject = format!("{name}-{number}");
        pool.fetch(&subject, token("c", 1000)).unwrap();
        for _ in 0..10 {
            pool.lease(&subject).unwrap();
        }
    }
}

#[test]
fn t10_a_key_that_is_evicted_during_its_fetch_keeps_it() {
    let pool = Pool::with(|builder| builder.max_entries(4));
    let alice = key("alice");
    let mut caller = Box::pin(pool.pool.lease(&alice, Some(SECOND)));
    assert!(poll(&mut caller).is_pending());
    let call = pool.call("alice").unwrap();
    drop(caller);
    crowd(&pool, "crowd");
    let mut later = Box::pin(pool.pool.lease(&alice, None));
    assert!(poll(&mut later).is_pending());
    call.respond(token("a", 1000));
    pool.tasks.run();
    assert_eq!(ready(poll(&mut later)).unwrap().token().expose(), "a");
    assert_eq!(pool.calls("alice"), 1);
}

#[test]
fn t10_a_key_that_is_evicted_while_its_cache_is_in_use_is_found_again() {
    let pool = Pool::with(|builder| builder.max_entries(4));
    pool.fetch("alice", token("a", 1000)).unwrap();
    let held = pool.pool.tokens(&key("alice")).unwrap();
    crowd(&pool, "one");
    assert!(pool.pool.status().evicted > 90);
    assert_eq!(pool.lease("alice").unwrap(), "a");
    drop(held);
    crowd(&pool, "two");
    assert!(pool.pool.status_of(&key("alice")).is_none());
}

#[test]
fn t10_an_unsaved_refresh_token_is_never_evicted() {
    let pool = Pool::over(Rotating, |builder| builder.max_entries(4));
    for subject in ["a", "b", "c", "d"] {
        pool.fetch(subject, token(subject, 1000)).unwrap();
    }
    let error = pool.lease("e").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .to_string()
            .contains("4 refresh tokens that no store keeps"),
        "{error}"
    );
    pool.clock.advance(SECOND * 500);
    for subject in ["a", "b", "c", "d"] {
        assert_eq!(pool.lease(subject).unwrap(), subject);
    }
    // A user who signs out makes room for another.
    assert!(pool.pool.remove(&key("a")));
    pool.fetch("e", token("e", 1000)).unwrap();
}

#[test]
fn t10_an_unsaved_refresh_token_outlives_the_idle_timeout() {
    let pool = Pool::over(Rotating, |builder| builder.idle_timeout(SECOND * 40));
    pool.fetch("alice", token("a", 10_000)).unwrap();
    for number in 0..20 {
        pool.clock.advance(SECOND * 10);
        pool.fetch(&number.to_string(), token("t", 10_000)).unwrap();
    }
    assert_eq!(pool.lease("alice").unwrap(), "a");
}

#[test]
fn a_key_that_is_not_used_for_the_idle_time_is_evicted_and_others_stay() {
    let pool = Pool::with(|builder| builder.idle_timeout(SECOND * 40));
    pool.fetch("idle", token("i", 10_000)).unwrap();
    pool.fetch("used", token("u", 10_000)).unwrap();
    let mut seconds = 0;
    let has_idle = |pool: &Pool| pool.pool.status_of(&key("idle")).is_some();
    while has_idle(&pool) {
        assert!(seconds < 100, "an idle key stays");
        pool.clock.advance(SECOND * 10);
        seconds += 10;
        assert_eq!(pool.lease("used").unwrap(), "u");
        // Idle keys are looked for when a key is new.
        pool.fetch(&format!("new-{seconds}"), token("n", 10_000))
            .unwrap();
    }
    assert!(seconds > 40, "evicted after {seconds} s");
    assert_eq!(pool.calls("used"), 1);
    assert!(pool.pool.status().evicted >= 1);
}

fn one_token(key: &PoolKey) -> Result<FixedToken, keyfob::Error> {
    Ok(FixedToken::new(Token::new(key.subject())?))
}

#[test]
fn t10_a_million_keys_are_bounded_and_frequent_keys_stay() {
    let made = Arc::new(AtomicUsize::new(0));
    let of_friends = Arc::clone(&made);
    let pool = TokenPool::builder(move |key: &PoolKey| {
        if key.subject().starts_with("friend") {
            of_friends.fetch_add(1, Ordering::Relaxed);
        }
        one_token(key)
    })
    .max_entries(1000)
    .build()
    .unwrap();
    let friends: Vec<_> = (0..200)
        .map(|number| key(&format!("friend-{number}")))
        .collect();
    let keys = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    for number in 0..keys {
        // A hostile caller, which gives up at once.
        drop(pool.tokens(&key(&format!("hostile-{number}"))).unwrap());
        pool.tokens(&friends[number % friends.len()]).unwrap();
        if number % 10_000 == 0 {
            assert!(pool.status().entries <= 1100, "{:?}", pool.status());
        }
    }
    let status = pool.status();
    assert!(status.entries <= 1100, "{status:?}");
    // A few may be evicted before they have been used twice.
    let made = made.load(Ordering::Relaxed);
    assert!(
        made < 2 * friends.len(),
        "{made} caches for {} frequent keys",
        friends.len()
    );
}

#[test]
fn t1_threads_that_ask_for_one_new_key_at_once_share_a_fetch() {
    for _ in 0..20 {
        let calls = Arc::new(AtomicUsize::new(0));
        let of_source = Arc::clone(&calls);
        let pool = TokenPool::builder(move |_: &PoolKey| {
            let calls = Arc::clone(&of_source);
            Ok(keyfob::hook_blocking(move |_| {
                calls.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(("t0ken", SECOND * 1000))
            }))
        })
        .max_entries(1)
        .build()
        .unwrap();
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    pool.lease_blocking(&key("alice"), None).map(drop)
                })
            })
            .collect();
        ends(move || {
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
