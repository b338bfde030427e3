//! T2 and T3: a failure keeps the issuer from being called, and nobody from finding a new sign-in in the store.

use keyfob::source::Persisted;
use keyfob::store::MemoryStore;
use keyfob::{Error, ErrorKind};

use crate::fixtures::{FailingStore, Process, SECOND, key, sign_in, token, with_an_ended_token};

fn busy(pause: u32) -> Error {
    Error::unavailable("busy").retry_after(SECOND * pause)
}

/// Asks for a token about each second, for as many seconds, and gets none and causes no call.
async fn ask_in_vain(process: &Process, seconds: u32) {
    let calls = process.source.calls();
    for _ in 0..seconds {
        process.clock.advance(SECOND);
        let error = process.get().await.unwrap_err();
        assert!(error.to_string().starts_with("busy"), "{error}");
    }
    assert_eq!(process.source.calls(), calls);
}

#[tokio::test]
async fn t2_a_new_sign_in_ends_a_retry_after() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    process.get_with_response(Err(busy(900))).await.unwrap_err();
    ask_in_vain(&process, 60).await;
    sign_in(&store, &process).await;
    process.clock.advance(SECOND * 5);
    assert_eq!(process.get().await.unwrap(), "token-2");
    assert_eq!(process.source.calls(), 2);
}

#[tokio::test]
async fn t2_a_new_sign_in_ends_a_shared_refusal_at_once() {
    let store = MemoryStore::default();
    let first = with_an_ended_token(store.clone()).await;
    let refused = Err(Error::refused("invalid_grant"));
    first.get_with_response(refused).await.unwrap_err();
    let second = Process::rotating(store.clone());
    second.clock.advance(SECOND * 102);
    for _ in 0..20 {
        assert_eq!(second.get().await.unwrap_err().kind(), ErrorKind::Refused);
        second.clock.advance(SECOND);
    }
    sign_in(&store, &second).await;
    for process in [&first, &second] {
        process.clock.advance(SECOND * 5);
        assert_eq!(process.get().await.unwrap(), "token-2");
    }
    assert_eq!((first.source.calls(), second.source.calls()), (2, 0));
}

#[tokio::test]
async fn t2_an_issuer_is_called_when_its_pause_ends_and_not_before() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store).await;
    process.get_with_response(Err(busy(90))).await.unwrap_err();
    ask_in_vain(&process, 89).await;
    process.clock.advance(SECOND);
    assert_eq!(
        process.get_with_response(token(2)).await.unwrap(),
        "token-2"
    );
}

#[tokio::test]
async fn t2_a_pause_that_could_not_be_stored_is_kept() {
    for process in [Process::rotating, Process::repeatable] {
        let store = FailingStore::default();
        let process = process(store.clone());
        process.get_with_response(token(1)).await.unwrap();
        process.clock.advance(SECOND * 101);
        let answer = async {
            let call = process.source.next_call().await;
            store.set_full(true);
            call.respond(Err(busy(90)));
        };
        let (failed, ()) = tokio::join!(process.get(), answer);
        failed.unwrap_err();
        ask_in_vain(&process, 89).await;
        store.set_full(false);
        process.clock.advance(SECOND);
        assert_eq!(
            process.get_with_response(token(2)).await.unwrap(),
            "token-2"
        );
    }
}

#[tokio::test]
async fn t2_a_pause_that_began_during_a_store_outage_is_kept_after_it() {
    let store = FailingStore::default();
    store.set_unavailable(true);
    let process = Process::repeatable(store.clone());
    process.get_with_response(Err(busy(90))).await.unwrap_err();
    ask_in_vain(&process, 40).await;
    store.set_unavailable(false);
    ask_in_vain(&process, 40).await;
    sign_in(&store, &process).await;
    process.clock.advance(SECOND * 5);
    assert_eq!(process.get().await.unwrap(), "token-2");
}

#[tokio::test]
async fn a_remembered_failure_counts_once_and_shows_the_issuers_pause() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    process.get_with_response(Err(busy(900))).await.unwrap_err();
    ask_in_vain(&process, 100).await;
    assert_eq!(process.cache.status().failures, 1);
    let left = process.get().await.unwrap_err().pause().unwrap();
    assert!(
        left >= SECOND * 795 && left <= SECOND * 805,
        "{left:?} of 800 s"
    );
    // Another process is told once, too.
    let other = Process::rotating(store);
    other.clock.advance(SECOND * 201);
    ask_in_vain(&other, 20).await;
    assert_eq!(other.cache.status().failures, 1);
}

#[tokio::test]
async fn t3_a_link_that_signs_in_again_ends_its_retry_after_for_the_chain() {
    let (inner_store, outer_store) = (MemoryStore::default(), MemoryStore::default());
    let inner = with_an_ended_token(inner_store.clone()).await;
    let outer = Persisted::new(inner.cache.as_source(), outer_store, key());
    let outer = keyfob::TokenCache::builder(outer)
        .clock(inner.clock.clone())
        .build()
        .unwrap();
    inner.get_with_response(Err(busy(900))).await.unwrap_err();
    for _ in 0..20 {
        outer.get_valid_token().await.unwrap_err();
        inner.clock.advance(SECOND);
    }
    assert_eq!(outer.status().failures, 1);
    sign_in(&inner_store, &inner).await;
    for _ in 0..2 {
        inner.clock.advance(SECOND * 5);
        let _ = outer.get_valid_token().await;
    }
    assert_eq!(outer.get_valid_token().await.unwrap().expose(), "token-2");
}

#[cfg(feature = "pool")]
#[tokio::test]
async fn t10_keys_that_look_in_vain_for_a_sign_in_do_so_ever_more_rarely() {
    use keyfob::TokenPool;
    use keyfob::pool::PoolKey;
    use keyfob_testkit::{GatedSource, ManualClock};

    let (store, source, clock) = (
        FailingStore::default(),
        GatedSource::new(),
        ManualClock::default(),
    );
    let (of_key, kept) = (source.clone(), store.clone());
    let pool = TokenPool::builder(move |_: &PoolKey| {
        Ok(Persisted::new(of_key.clone(), kept.clone(), key()))
    });
    let pool = pool.clock(clock.clone()).build().unwrap();
    let alice = PoolKey::new("alice").unwrap();
    let answer = async { source.next_call().await.respond(Err(busy(3000))) };
    let (failed, ()) = tokio::join!(pool.lease(&alice, None), answer);
    failed.unwrap_err();
    let before = store.loads();
    for _ in 0..600 {
        clock.advance(SECOND);
        pool.lease(&alice, None).await.unwrap_err();
    }
    let loads = store.loads() - before;
    assert!((10..=60).contains(&loads), "{loads} reads in ten minutes");
    crate::fixtures::until(async || pool.status().fetching == 0).await;
}
