//! The store behind Redis Sentinel: masters that die, and masters that become replicas.

use std::time::{Duration, Instant};

use keyfob::store::{Entry, TokenStore};

use crate::counters::figures_of;
use crate::fixtures::{Process, SECOND, key, token};
use crate::redis_sentinel_server::RedisSentinel;
use crate::redis_server::WAIT_LIMIT;

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

/// Saves a token that no replica gets, and kills the master. Returns the token of the replica, and how long the save took.
async fn token_after_an_unreplicated_save(replicas: u32) -> (String, Duration) {
    let mut servers = RedisSentinel::start();
    let store = servers.store().replicas(replicas);
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    servers.cut_off_replica();
    let start = Instant::now();
    store.replace(&key(), &entry(2), SECOND).await.unwrap();
    let took = start.elapsed();
    let failed = servers.kill_master();
    servers.let_replica_go_on(failed);
    servers.wait_for_another_master(failed);
    let found = servers.store().load(&key()).await.unwrap().unwrap();
    (found.entry.token().unwrap().expose().to_owned(), took)
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_what_no_replica_has_is_lost_with_the_master_and_a_wait_is_bounded() {
    let (lost, at_once) = token_after_an_unreplicated_save(0).await;
    let (with, waited) = token_after_an_unreplicated_save(1).await;
    println!("saved after {at_once:?}: {lost}; with WAIT after {waited:?}: {with}");
    // The master confirmed the second token each time.
    assert_eq!((lost.as_str(), with.as_str()), ("token-1", "token-1"));
    assert!(waited > WAIT_LIMIT, "it did not wait: {waited:?}");
    assert!(waited < WAIT_LIMIT * 6, "{waited:?}");
}

#[test]
fn a_save_that_a_replica_gets_waits_no_longer() {
    let servers = RedisSentinel::start();
    let store = servers.store().replicas(1);
    let figures = figures_of(async {
        let start = Instant::now();
        store.replace(&key(), &entry(1), SECOND).await.unwrap();
        let took = start.elapsed();
        assert!(took < WAIT_LIMIT, "{took:?}");
    });
    assert!(!figures.contains_key("keyfob_unreplicated_saves_total"));
}
