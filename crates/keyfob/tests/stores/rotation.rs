//! T9: a rotated refresh token is never lost, and never sent twice blindly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyfob::runtime::{Runtime, TokioOrThreads};
use keyfob::source::{Persisted, TokenRequest};
use keyfob::store::{Entry, MemoryStore, TokenStore};
use keyfob::{Error, ErrorKind, Token, TokenCache, TokenSource};
use keyfob_testkit::Call;

use crate::fixtures::{
    FailingStore, Process, Rotating, SECOND, key, sign_in, token, until, with_an_ended_token,
};

async fn stored(store: &impl TokenStore) -> Entry {
    store.load(&key()).await.unwrap().unwrap().entry
}

/// Gets a token from a source that does not respond, while this time passes; returns the call as well.
async fn get_without_a_response(
    process: &Process,
    time: Duration,
) -> (Result<String, Error>, Call) {
    let give_up = async {
        let call = process.source.next_call().await;
        process.clock.until_sleeping(3).await;
        process.clock.advance(time);
        call
    };
    tokio::join!(process.get(), give_up)
}

async fn gets_the_third_for_the_second(process: &Process) {
    let response = async {
        let call = process.source.next_call().await;
        let previous = call.request().previous().unwrap();
        assert_eq!(previous.refresh_token(), Some("refresh-2"));
        call.respond(token(3));
    };
    let (got, ()) = tokio::join!(process.get(), response);
    assert_eq!(got.unwrap(), "token-3");
}

#[tokio::test]
async fn t9_a_note_is_stored_before_the_exchange_and_the_token_before_its_use() {
    let store = MemoryStore::default();
    let process = Process::rotating(store.clone());
    let response = async {
        let call = process.source.next_call().await;
        let noted = stored(&store).await;
        assert!(noted.pending_exchange().is_some() && noted.token().is_none());
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(process.get(), response);
    got.unwrap();
    let after = stored(&store).await;
    assert!(after.pending_exchange().is_none());
    assert_eq!(after.token().unwrap().refresh_token(), Some("refresh-1"));
}

#[tokio::test]
async fn t9_the_stored_refresh_token_is_the_one_that_is_exchanged() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    first.get_with_response(token(1)).await.unwrap();
    second.get().await.unwrap();
    first.clock.advance(SECOND * 101);
    first.get_with_response(token(2)).await.unwrap();
    // The token in the memory of the second process was replaced. For its clock both tokens are expired.
    second.clock.advance(SECOND * 301);
    gets_the_third_for_the_second(&second).await;
}

#[tokio::test]
async fn t9_a_cancelled_fetch_completes_its_exchange() {
    let store = MemoryStore::default();
    let process = Process::rotating(store.clone());
    let (got, call) = get_without_a_response(&process, SECOND * 30).await;
    let error = got.unwrap_err().to_string();
    assert!(error.contains("gave no token within"), "{error}");
    call.respond(token(1));
    until(async || stored(&store).await.token().is_some()).await;
    let kept = stored(&store).await;
    assert_eq!(kept.token().unwrap().refresh_token(), Some("refresh-1"));
}

#[tokio::test]
async fn t9_a_response_long_after_the_fetch_timeout_is_stored() {
    let store = MemoryStore::default();
    let process = Process::rotating(store.clone());
    let (got, call) = get_without_a_response(&process, SECOND * 100).await;
    got.unwrap_err();
    call.respond(token(1));
    until(async || stored(&store).await.token().is_some()).await;
}

#[test]
fn t9_a_response_after_the_timeout_of_a_caller_without_a_runtime_is_stored() {
    let store = MemoryStore::default();
    let slow = keyfob::hook(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token(1)
    });
    let source = Persisted::new(Rotating(slow), store.clone(), key());
    let cache = TokenCache::builder(source)
        .fetch_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    cache.get_valid_token_blocking().unwrap_err();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kept = runtime.block_on(async {
        for _ in 0..1000 {
            if let Some(kept) = stored(&store).await.token() {
                return kept.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the response is lost");
    });
    assert_eq!(kept.refresh_token(), Some("refresh-1"));
}

#[tokio::test]
async fn t9_an_exchange_runs_in_one_task_with_a_store_and_without() {
    struct Exchanging;

    impl TokenSource for Exchanging {
        fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
            request.run_to_completion(async { token(1) })
        }
    }

    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Runtime for Counting {
        fn spawn(&self, task: BoxFuture<'static, ()>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            TokioOrThreads.spawn(task);
        }

        fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
            TokioOrThreads.spawn_blocking(work);
        }
    }

    let persisted = Persisted::new(Rotating(Exchanging), MemoryStore::default(), key());
    for builder in [
        TokenCache::builder(Exchanging),
        TokenCache::builder(persisted),
    ] {
        let runtime = Counting::default();
        let cache = builder.runtime(runtime.clone()).build().unwrap();
        cache.get_valid_token().await.unwrap();
        // One task for the renewal, and one for the exchange.
        assert_eq!(runtime.0.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn t9_a_fetch_cancelled_before_its_exchange_exchanges_nothing() {
    let store = MemoryStore::default();
    let held = store.lease(&key(), SECOND).await.unwrap();
    let process = Process::rotating(store.clone());
    let give_up = async {
        process.clock.until_sleeping(2).await;
        process.clock.advance(SECOND * 30);
    };
    let (got, ()) = tokio::join!(process.get(), give_up);
    got.unwrap_err();
    held.release().await;
    // Callers that waited for the lease had it before.
    store.lease(&key(), SECOND).await.unwrap();
    assert!(
        store.load(&key()).await.unwrap().is_none(),
        "there is no note"
    );
    assert_eq!(process.source.calls(), 0);
}

#[tokio::test]
async fn t9_a_response_without_a_refresh_token_keeps_the_old_one() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    let plain = keyfob::Token::new("token-2").map(|token| token.expires_in(SECOND * 100));
    process.get_with_response(plain).await.unwrap();
    assert_eq!(
        stored(&store).await.token().unwrap().refresh_token(),
        Some("refresh-1")
    );
}

#[tokio::test]
async fn t9_an_exchange_with_a_lost_response_is_repeated_once_and_then_needs_a_sign_in() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    let lost = || Err(Error::unavailable("reset").outcome_unknown());
    process.get_with_response(lost()).await.unwrap_err();
    assert!(stored(&store).await.pending_exchange().is_some());
    process.clock.advance(SECOND * 2);
    process.get_with_response(lost()).await.unwrap_err();
    process.clock.advance(SECOND * 5);
    let error = process.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("sign in again"), "{error}");
    assert_eq!(process.source.calls(), 3);
}

#[tokio::test]
async fn t9_a_refused_or_unsent_exchange_leaves_no_note() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    for _ in 0..3 {
        let down = Err(Error::unavailable("503"));
        process.get_with_response(down).await.unwrap_err();
        assert!(stored(&store).await.pending_exchange().is_none());
        process.clock.advance(SECOND * 60);
    }
    assert_eq!(
        process.get_with_response(token(2)).await.unwrap(),
        "token-2"
    );
}

#[tokio::test]
async fn t2_a_refusal_is_shared_and_the_refresh_token_is_not_sent_again() {
    let store = MemoryStore::default();
    let first = with_an_ended_token(store.clone()).await;
    let refused = Err(Error::refused("invalid_grant"));
    first.get_with_response(refused).await.unwrap_err();
    let second = Process::rotating(store);
    second.clock.advance(SECOND * 102);
    let error = second.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().starts_with("invalid_grant"), "{error}");
    assert_eq!(second.source.calls(), 0);
}

#[tokio::test]
async fn t2_a_new_sign_in_ends_a_refusal_and_no_exchange_happens_before() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::rotating(store.clone()),
        Process::rotating(store.clone()),
    );
    first.get_with_response(token(1)).await.unwrap();
    second.get().await.unwrap();
    for process in [&first, &second] {
        process.clock.advance(SECOND * 101);
    }
    let refused = Err(Error::refused("invalid_grant"));
    first.get_with_response(refused).await.unwrap_err();
    // Longer than the refusal is shared.
    for _ in 0..5 {
        for process in [&first, &second] {
            let error = process.get().await.unwrap_err();
            assert!(error.to_string().starts_with("invalid_grant"), "{error}");
            process.clock.advance(SECOND * 61);
        }
    }
    assert_eq!((first.source.calls(), second.source.calls()), (2, 0));
    sign_in(&store, &first).await;
    for process in [&first, &second] {
        assert_eq!(process.get().await.unwrap(), "token-2");
    }
    assert_eq!((first.source.calls(), second.source.calls()), (2, 0));
}

#[tokio::test]
async fn t2_a_valid_token_that_cannot_be_renewed_notices_a_new_sign_in() {
    let store = MemoryStore::default();
    let process = Process::rotating(store.clone());
    process.get_with_response(token(1)).await.unwrap();
    // Due, and long before its expiry.
    process.clock.advance(SECOND * 80);
    let refused = Err(Error::refused("invalid_grant"));
    assert_eq!(process.get_with_response(refused).await.unwrap(), "token-1");
    sign_in(&store, &process).await;
    process.clock.advance(SECOND * 5);
    until(async || process.get().await.unwrap() == "token-2").await;
    assert_eq!(process.source.calls(), 2);
}

#[tokio::test]
async fn t2_a_sign_in_that_stayed_unused_for_long_still_ends_a_refusal() {
    let store = MemoryStore::default();
    let process = with_an_ended_token(store.clone()).await;
    let refused = Err(Error::refused("invalid_grant"));
    process.get_with_response(refused).await.unwrap_err();
    sign_in(&store, &process).await;
    process.clock.advance(SECOND * 101);
    gets_the_third_for_the_second(&process).await;
}

#[tokio::test]
async fn t2_a_forced_renewal_ignores_a_refusal_and_its_token_ends_it() {
    let rotating = Process::rotating(MemoryStore::default());
    // There is no refresh token, so none can change.
    let repeatable = Process::repeatable(MemoryStore::default());
    let plain = |number| Ok(Token::new(format!("token-{number}"))?.expires_in(SECOND * 100));
    type Answer = fn(u32) -> Result<Token, Error>;
    for (process, response) in [(rotating, token as Answer), (repeatable, plain)] {
        process.get_with_response(response(1)).await.unwrap();
        process.clock.advance(SECOND * 101);
        let refused = Err(Error::refused("invalid_grant"));
        process.get_with_response(refused).await.unwrap_err();
        process.clock.advance(SECOND * 61);
        process.get().await.unwrap_err();
        let responded = async { process.source.next_call().await.respond(response(2)) };
        let both = async { tokio::join!(process.cache.renew(), responded) };
        let (renewed, ()) = tokio::time::timeout(SECOND * 30, both).await.unwrap();
        assert_eq!(renewed.unwrap().expose(), "token-2");
        // The failure is not remembered.
        process.clock.advance(SECOND * 101);
        let next = tokio::time::timeout(SECOND * 30, process.get_with_response(response(3)));
        assert_eq!(next.await.unwrap().unwrap(), "token-3");
    }
}

#[tokio::test]
async fn t9_without_room_for_the_note_nothing_is_exchanged() {
    let store = FailingStore::default();
    store.set_full(true);
    let process = Process::rotating(store.clone());
    let error = process.get().await.unwrap_err();
    assert_eq!(error.to_string(), "the store is full");
    assert_eq!(process.source.calls(), 0);
}

#[tokio::test]
async fn t9_a_new_token_that_cannot_be_stored_is_not_used_and_not_lost() {
    let store = FailingStore::default();
    let process = Process::rotating(store.clone());
    let response = async {
        let call = process.source.next_call().await;
        store.set_full(true);
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(process.get(), response);
    assert_eq!(got.unwrap_err().to_string(), "the store is full");
    // No other process gets the lease before the token is stored.
    assert!(store.inner.lease(&key(), SECOND / 100).await.is_err());
    store.set_full(false);
    process.clock.advance(SECOND * 5);
    until(async || store.stored().await.unwrap().token().is_some()).await;
    let next = Process::over(store, Rotating, |persisted| persisted);
    assert_eq!(next.get().await.unwrap(), "token-1");
}

#[tokio::test]
async fn t9_a_refused_exchange_leaves_no_note_although_the_store_fails_at_that_moment() {
    for error in [Error::unavailable("503"), Error::refused("invalid_client")] {
        let text = error.to_string();
        let store = FailingStore::default();
        let process = with_an_ended_token(store.clone()).await;
        let response = async {
            let call = process.source.next_call().await;
            store.set_full(true);
            call.respond(Err(error));
        };
        // The caller does not wait until the store works again.
        let (got, ()) = tokio::join!(process.get(), response);
        assert_eq!(got.unwrap_err().to_string(), text);
        let has_note = async || store.stored().await.unwrap().pending_exchange().is_some();
        assert!(has_note().await);
        store.set_full(false);
        process.clock.advance(SECOND * 5);
        until(async || !has_note().await).await;
        process.clock.advance(SECOND * 120);
        let responded = async { process.source.next_call().await.respond(token(2)) };
        let (renewed, ()) = tokio::join!(process.cache.renew(), responded);
        assert_eq!(renewed.unwrap().expose(), "token-2");
    }
}

#[tokio::test]
async fn t6_a_note_that_is_withdrawn_leaves_the_age_of_the_token() {
    let store = FailingStore::default();
    let process = with_an_ended_token(store.clone()).await;
    store.set_losing_replies(true);
    let error = process.get().await.unwrap_err();
    assert_eq!(error.to_string(), "the reply was lost");
    store.set_losing_replies(false);
    process.clock.advance(SECOND);
    until(async || store.stored().await.unwrap().pending_exchange().is_none()).await;
    // A database measures how old an entry is, so it must say when it was saved.
    let kept = store.stored().await.unwrap();
    let unsaved_for = process.clock.wall().duration_since(kept.saved()).unwrap();
    assert!(unsaved_for <= SECOND, "{unsaved_for:?}");
    assert_eq!(process.source.calls(), 1);
}

#[tokio::test]
async fn t9_a_new_token_is_not_given_up_while_its_conflict_cannot_be_settled() {
    for fail in [FailingStore::set_unavailable, FailingStore::set_full] {
        let store = FailingStore::default();
        let process = Process::rotating(store.clone());
        let response = async {
            let call = process.source.next_call().await;
            store.fail_after_conflict(fail);
            call.respond(token(1));
        };
        let (got, ()) = tokio::join!(process.get(), response);
        got.unwrap_err();
        for _ in 0..3 {
            process.clock.advance(SECOND * 5);
            tokio::task::yield_now().await;
        }
        assert!(store.stored().await.unwrap().token().is_none());
        fail(&store, false);
        process.clock.advance(SECOND * 5);
        until(async || store.stored().await.unwrap().token().is_some()).await;
        let next = Process::rotating(store);
        assert_eq!(next.get().await.unwrap(), "token-1");
    }
}

#[tokio::test]
async fn t7_a_panic_of_the_source_ends_the_lease() {
    let store = MemoryStore::default();
    let process = Process::rotating(store.clone());
    let panics = async { process.source.next_call().await.panic() };
    let (got, ()) = tokio::join!(process.get(), panics);
    assert!(got.unwrap_err().to_string().contains("panicked"));
    store.lease(&key(), SECOND).await.unwrap();
}
