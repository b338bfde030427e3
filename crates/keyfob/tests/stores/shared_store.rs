//! T1 and T2 for all users of a store, and outages of the store.

use keyfob::source::OnStoreOutage;
use keyfob::store::{MemoryStore, TokenStore};
use keyfob::{Error, ErrorKind};

use crate::fixtures::{FailingStore, Process, Rotating, SECOND, key, token, until};

#[tokio::test]
async fn t1_a_token_that_another_process_fetched_is_read_from_the_store() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::repeatable(store.clone()),
        Process::repeatable(store),
    );
    assert_eq!(first.get_with_response(token(1)).await.unwrap(), "token-1");
    assert_eq!(second.get().await.unwrap(), "token-1");
    assert_eq!(second.source.calls(), 0);
}

#[tokio::test]
async fn t1_a_process_that_waited_for_the_lease_adopts_the_new_token() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::repeatable(store.clone()),
        Process::repeatable(store),
    );
    let response = async {
        let call = first.source.next_call().await;
        // The second process waits for the lease.
        tokio::task::yield_now().await;
        call.respond(token(1));
    };
    let (one, other, ()) = tokio::join!(first.get(), second.get(), response);
    assert_eq!(
        (one.unwrap(), other.unwrap()),
        ("token-1".into(), "token-1".into())
    );
    assert_eq!(second.source.calls(), 0);
}

#[tokio::test]
async fn t8_after_a_401_a_process_adopts_the_token_of_another() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::repeatable(store.clone()),
        Process::repeatable(store),
    );
    first.get_with_response(token(1)).await.unwrap();
    second.get().await.unwrap();
    let (old, others) = (first.cache.ready().unwrap(), second.cache.ready().unwrap());
    let nothing = keyfob::exchange::Challenges::default();
    let response = async { first.source.next_call().await.respond(token(2)) };
    let (replaced, ()) = tokio::join!(first.cache.replace(&old, &nothing, None), response);
    replaced.unwrap();
    let adopted = second.cache.replace(&others, &nothing, None).await.unwrap();
    assert_eq!(adopted.token().expose(), "token-2");
    assert_eq!(second.source.calls(), 0);
}

#[tokio::test]
async fn t2_the_issuers_retry_after_applies_to_all_users_of_a_store() {
    let store = MemoryStore::default();
    let (first, second) = (
        Process::repeatable(store.clone()),
        Process::repeatable(store),
    );
    let busy = Err(Error::unavailable("busy").retry_after(SECOND * 30));
    first.get_with_response(busy).await.unwrap_err();
    let error = second.get().await.unwrap_err();
    assert_eq!(error.pause(), Some(SECOND * 30));
    assert!(error.to_string().starts_with("busy"), "{error}");
    second.clock.advance(SECOND * 31);
    assert_eq!(second.get_with_response(token(1)).await.unwrap(), "token-1");
}

#[tokio::test]
async fn a_repeatable_source_is_called_locally_during_a_store_outage() {
    let store = FailingStore::default();
    store.set_unavailable(true);
    let process = Process::repeatable(store.clone());
    assert_eq!(
        process.get_with_response(token(1)).await.unwrap(),
        "token-1"
    );
    // The outage continues: the token stays in use, and the source is not called.
    process.clock.advance(SECOND * 11);
    assert_eq!(process.get().await.unwrap(), "token-1");
    store.set_unavailable(false);
    process.clock.advance(SECOND * 11);
    assert_eq!(process.get().await.unwrap(), "token-1");
    until(async || !process.cache.status().renewing).await;
    let stored = store.stored().await.expect("back to what is shared");
    assert_eq!(stored.token().unwrap().expose(), "token-1");
    assert_eq!(process.source.calls(), 1);
}

#[tokio::test]
async fn a_store_outage_can_be_set_to_be_an_error() {
    let store = FailingStore::default();
    store.set_unavailable(true);
    let process = Process::over(
        store,
        |source| source,
        |p| p.on_store_outage(OnStoreOutage::Fail),
    );
    let error = process.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the store is unavailable");
}

#[tokio::test]
async fn t9_a_refresh_token_is_not_exchanged_during_a_store_outage() {
    let store = FailingStore::default();
    store.set_unavailable(true);
    let process = Process::rotating(store.clone());
    process.get().await.unwrap_err();
    assert_eq!(process.source.calls(), 0);
    store.set_unavailable(false);
    process.clock.advance(SECOND * 2);
    assert_eq!(
        process.get_with_response(token(1)).await.unwrap(),
        "token-1"
    );
}

#[tokio::test]
async fn t3_a_valid_token_stays_in_use_during_a_store_outage() {
    let store = FailingStore::default();
    let process = Process::over(store.clone(), Rotating, |persisted| persisted);
    process.get_with_response(token(1)).await.unwrap();
    store.set_unavailable(true);
    for _ in 0..9 {
        process.clock.advance(SECOND * 11);
        assert_eq!(process.get().await.unwrap(), "token-1");
    }
}

#[tokio::test]
async fn t9_without_the_lease_nothing_is_exchanged() {
    let store = MemoryStore::default();
    let _held = store.lease(&key(), SECOND).await.unwrap();
    let short = |process: keyfob::source::Persisted| process;
    let process = Process::over(store.clone(), |source| source, short);
    let clock = process.clock.clone();
    let late = async {
        clock.until_sleeping(2).await;
        clock.advance(SECOND * 31);
    };
    let (got, ()) = tokio::join!(process.get(), late);
    assert_eq!(got.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(process.source.calls(), 0);
}

#[tokio::test]
async fn entries_are_listed_without_their_secrets_and_removed() {
    let store = MemoryStore::default();
    Process::rotating(store.clone())
        .get_with_response(token(1))
        .await
        .unwrap();
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, key());
    assert!(listed[0].has_refresh_token && listed[0].exchange_started.is_none());
    let shown = format!("{listed:?}");
    assert!(
        !shown.contains("token-1") && !shown.contains("refresh-1"),
        "{shown}"
    );
    assert!(store.forget(&key(), SECOND).await.unwrap());
    assert!(!store.forget(&key(), SECOND).await.unwrap());
    assert!(store.list().await.unwrap().is_empty());
}
