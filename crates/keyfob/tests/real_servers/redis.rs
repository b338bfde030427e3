//! The store in Redis: what every store in a database keeps, and what only concerns Redis.

use keyfob::ErrorKind;
use keyfob::store::{RedisStore as Store, SealingKey, SealingKeys, StoreErrorKind, TokenStore};

use crate::fixtures::{Process, key, token};
use crate::redis_server::RedisServer as Server;

#[path = "store_contract.rs"]
mod contract;

#[tokio::test]
async fn s2_an_entry_under_another_prefix_does_not_open() {
    let server = Server::start();
    Process::rotating(server.store())
        .get_with_response(token(1))
        .await
        .unwrap();
    let entry = server.backup(&key()).await;
    server.put_under("keyfob:other", &entry).await;
    let other = server.store().prefix("keyfob:other");
    let fault = other.load(&key()).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn s1_the_password_of_the_url_is_in_no_error() {
    let ring = || SealingKeys::new(SealingKey::from_bytes([1; 32]));
    let fault = Store::open("rediss//user:s3cr3t@", ring()).unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Input);
    assert!(!format!("{fault:?}").contains("s3cr3t"));
    let no_caller = Store::open("redis://user:s3cr3t@127.0.0.1:1", ring()).unwrap();
    let fault = no_caller.load(&key()).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
    assert!(!format!("{fault:?} {no_caller:?}").contains("s3cr3t"));
}
