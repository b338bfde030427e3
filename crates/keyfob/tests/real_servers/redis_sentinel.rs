//! The store behind Redis Sentinel: masters that die, and masters that become replicas.

use keyfob::store::{Entry, TokenStore};

use crate::fixtures::{Process, SECOND, key, token};
use crate::redis_sentinel_server::RedisSentinel;

fn entry(number: u32) -> Entry {
    Entry::new(token(number).unwrap(), std::time::SystemTime::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_renewal_ends_with_the_replica_of_a_master_that_died() {
    let mut servers = RedisSentinel::start();
    let process = Process::rotating(servers.store());
    let failover = async {
        let call = process.source.next_call().await;
        // The note is stored, and the result is not.
        tokio::task::block_in_place(|| servers.fail_over());
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(process.get(), failover);
    assert_eq!(got.unwrap(), "token-1");
    let found = servers.store().load(&key()).await.unwrap().unwrap();
    assert_eq!(found.entry.token().unwrap().expose(), "token-1");
    assert!(found.entry.pending_exchange().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_command_waits_for_the_new_master_while_there_is_none() {
    let mut servers = RedisSentinel::start();
    let store = servers.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    let failed = servers.kill_master();
    // The sentinels have not noticed yet.
    store.replace(&key(), &entry(2), SECOND).await.unwrap();
    let found = store.load(&key()).await.unwrap().unwrap();
    assert_eq!(found.entry.token().unwrap().expose(), "token-2");
    servers.wait_for_another_master(failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_master_that_became_a_replica_is_left() {
    let servers = RedisSentinel::start();
    let store = servers.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    servers.switch();
    // The connection may still be open, and its server now refuses writes.
    store.replace(&key(), &entry(2), SECOND).await.unwrap();
    let found = servers.store().load(&key()).await.unwrap().unwrap();
    assert_eq!(found.entry.token().unwrap().expose(), "token-2");
}
