//! What becomes of the entries of a store in a database: how they are listed, how long they are kept, and what a removal leaves.
//!
//! The module of each kind of server includes this file, and says what `Server` and `Store` are.

use keyfob::store::{Entry, StoreKey, TokenStore, seal_again};

use super::Server;
use super::contract::{save_first_token, store, stored, until_in_real_time};
use crate::fixtures::{SECOND, key, token};

#[tokio::test]
async fn entries_are_listed_and_removed() {
    let server = Server::start();
    let store = store(&server);
    save_first_token(&store).await;
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, key());
    assert!(store.forget(&key(), SECOND).await.unwrap());
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn t10_an_entry_that_nothing_renews_goes_after_the_time_that_is_set() {
    let server = Server::start();
    let forever = store(&server);
    let bounded = store(&server).idle_timeout(SECOND);
    let (kept, other) = (
        StoreKey::builder("kept").build(),
        StoreKey::builder("other").build(),
    );
    let entry = || Entry::new(token(1).unwrap(), std::time::SystemTime::now());
    // The last save counts, in both directions.
    bounded.replace(&kept, &entry(), SECOND).await.unwrap();
    forever.replace(&kept, &entry(), SECOND).await.unwrap();
    forever.replace(&key(), &entry(), SECOND).await.unwrap();
    bounded.replace(&key(), &entry(), SECOND).await.unwrap();
    assert!(stored(&bounded).await.is_some());
    until_in_real_time(async || {
        forever.replace(&other, &entry(), SECOND).await.unwrap();
        !server.holds_anything_of(&key()).await && !server.dump().await.contains(key().id())
    })
    .await;
    assert!(forever.load(&kept).await.unwrap().is_some());
    let mut listed: Vec<_> = forever
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.key)
        .collect();
    listed.sort_by(|one, other| one.id().cmp(other.id()));
    let mut expected = vec![kept, other];
    expected.sort_by(|one, other| one.id().cmp(other.id()));
    assert_eq!(listed, expected);
    // The user signs in again.
    bounded.replace(&key(), &entry(), SECOND).await.unwrap();
    assert!(stored(&bounded).await.is_some());
}

#[tokio::test]
async fn t10_an_entry_that_is_sealed_again_goes_when_it_would_have_gone() {
    let server = Server::start();
    let forever = store(&server);
    let bounded = store(&server).idle_timeout(SECOND * 2);
    let kept = StoreKey::builder("kept").build();
    let entry = || Entry::new(token(1).unwrap(), std::time::SystemTime::now());
    forever.replace(&kept, &entry(), SECOND).await.unwrap();
    bounded.replace(&key(), &entry(), SECOND).await.unwrap();
    // Each by a store with the other setting, as by a command for another profile.
    assert!(seal_again(&bounded, &kept, SECOND).await.unwrap());
    assert!(seal_again(&forever, &key(), SECOND).await.unwrap());
    assert_eq!(forever.list().await.unwrap().len(), 2);
    let other = StoreKey::builder("other").build();
    until_in_real_time(async || {
        forever.replace(&other, &entry(), SECOND).await.unwrap();
        !server.holds_anything_of(&key()).await
    })
    .await;
    assert!(forever.load(&kept).await.unwrap().is_some());
    assert_eq!(forever.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn s2_nothing_of_an_entry_is_left_after_it_is_forgotten() {
    let server = Server::start();
    let store = store(&server);
    save_first_token(&store).await;
    let mut lease = store.lease(&key(), SECOND).await.unwrap();
    lease.quarantine().await.unwrap();
    lease.release().await;
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].unreadable.is_some());
    assert!(server.holds_anything_of(&key()).await);
    assert!(store.forget(&listed[0].key, SECOND).await.unwrap());
    assert!(store.list().await.unwrap().is_empty());
    assert!(!server.holds_anything_of(&key()).await);
}
