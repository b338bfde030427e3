//! The store in Redis: what every store in a database keeps, and what only concerns Redis.

use std::time::SystemTime;

use keyfob::ErrorKind;
use keyfob::store::{
    Entry, RedisStore as Store, SealingKey, SealingKeys, StoreErrorKind, StoreKey, TokenStore,
};
use redis::cmd;

use crate::captured_log;
use crate::captured_log::Capture;
use crate::counters::figures_of;
use crate::fixtures::{Process, SECOND, key, token};
use crate::redis_server::RedisServer as Server;

#[path = "store_clocks.rs"]
mod clocks;
#[path = "store_contract.rs"]
mod contract;
#[path = "store_entries.rs"]
mod entries;

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
async fn an_entry_that_another_program_has_changed_hides_no_other() {
    let server = Server::start();
    let store = server.store();
    let entry = || Entry::new(token(1).unwrap(), SystemTime::now());
    store.replace(&key(), &entry(), SECOND).await.unwrap();
    let others = ["a", "b"].map(|issuer| StoreKey::builder(issuer).build());
    for other in &others {
        store.replace(other, &entry(), SECOND).await.unwrap();
    }
    let name = |key: &StoreKey| format!("keyfob:{{{}}}:entry", key.id());
    let mut without_time = cmd("HSET");
    without_time.arg(name(&others[0])).arg("saved").arg("text");
    server.ask(&without_time).await;
    let mut no_entry = cmd("SET");
    no_entry.arg(name(&others[1])).arg("text");
    server.ask(&no_entry).await;
    let listed = store.list().await.unwrap();
    let unreadable = listed.iter().filter(|one| one.unreadable.is_some());
    let unreadable: Vec<_> = unreadable.map(|one| one.key.id()).collect();
    assert_eq!((listed.len(), unreadable), (3, vec![others[1].id()]));
    assert!(store.load(&others[0]).await.unwrap().is_some());
    for one in &listed {
        assert!(store.forget(&one.key, SECOND).await.unwrap());
    }
    assert!(store.list().await.unwrap().is_empty());
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

#[tokio::test]
async fn t9_a_server_without_memory_is_named_and_loses_nothing() {
    let server = Server::start();
    let process = contract::with_fast_clock(Process::rotating(server.store()));
    process.get_with_response(token(1)).await.unwrap();
    server.set_memory(1);
    let error = process.cache.renew().await.unwrap_err();
    let shown = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(shown.contains("no memory left"), "{shown}");
    assert_eq!(process.source.calls(), 1, "without a lease, no exchange");
    // What was saved can still be read.
    let reader = Process::rotating(server.store());
    assert_eq!(reader.get().await.unwrap(), "token-1");
    server.set_memory(0);
    let renewed = async { process.source.next_call().await.respond(token(2)) };
    let (got, ()) = tokio::join!(process.cache.renew(), renewed);
    got.unwrap();
}

#[tokio::test]
async fn t9_a_server_without_memory_during_an_exchange_gets_the_result_later() {
    let server = Server::start();
    let process = contract::with_fast_clock(Process::rotating(server.store()));
    let fault = async {
        let call = process.source.next_call().await;
        server.set_memory(1);
        call.respond(token(1));
    };
    let (got, ()) = tokio::join!(process.get(), fault);
    assert!(got.unwrap_err().to_string().contains("no memory left"));
    let note = server.store().load(&key()).await.unwrap().unwrap();
    assert!(note.entry.pending_exchange().is_some());
    server.set_memory(0);
    // Another process waits for the lease, until the result is saved.
    let other = contract::with_fast_clock(Process::rotating(server.store()));
    assert_eq!(other.get().await.unwrap(), "token-1");
    assert_eq!((process.source.calls(), other.source.calls()), (1, 0));
}

#[tokio::test]
async fn t10_what_is_left_of_a_forgotten_entry_goes_after_a_day() {
    let server = Server::start();
    let process = Process::rotating(server.store());
    process.get_with_response(token(1)).await.unwrap();
    server.store().forget(&key(), SECOND).await.unwrap();
    let is_kept_for_long = |time: &i64| *time == -1 || *time > 24 * 3600 * 1000;
    let kept_for = server.kept_for(&key());
    assert!(!kept_for.iter().any(is_kept_for_long), "{kept_for:?}");
    // A new sign-in is kept.
    let process = Process::rotating(server.store());
    process.get_with_response(token(2)).await.unwrap();
    assert_eq!(server.kept_for(&key())[..3], [-1, -2, -1]);
}

#[test]
fn t9_a_save_succeeds_if_the_server_refuses_to_wait_for_replicas() {
    let server = Server::start();
    let save = async {
        let entry = Entry::new(token(1).unwrap(), SystemTime::now());
        // The user may not send `WAIT`.
        let store = server.store().replicas(1);
        store.replace(&key(), &entry, SECOND).await.unwrap();
        assert!(server.store().load(&key()).await.unwrap().is_some());
    };
    let figures = tracing::subscriber::with_default(Capture, || figures_of(save));
    assert_eq!(figures["keyfob_unreplicated_saves_total"], 1);
    let warning = "too few replicas of the token store have the new token; it is lost if the server fails now";
    let lines = captured_log::lines();
    let line = lines.iter().find(|line| line.contains(warning));
    let line = line.expect("the warning is logged");
    for part in ["reached=0", "wanted=1", "error=", "wait"] {
        assert!(line.to_lowercase().contains(part), "{line}");
    }
}

#[tokio::test]
async fn t9_a_wait_for_replicas_delays_no_other_key() {
    let server = Server::start();
    // There is no replica, so each save waits as long as it may.
    server.permit_wait();
    let store = server.store().replicas(1).response_timeout(SECOND * 3);
    let keys: Vec<_> = (0..16)
        .map(|number| StoreKey::builder(format!("{number}")).build())
        .collect();
    let entry = Entry::new(token(1).unwrap(), SystemTime::now());
    let saves = keys.iter().map(|key| store.replace(key, &entry, SECOND));
    let saves = futures_util::future::join_all(saves);
    let reads = async {
        for _ in 0..20 {
            store.load(&key()).await.unwrap();
        }
    };
    let (saved, ()) = tokio::join!(saves, reads);
    for saved in saved {
        saved.unwrap();
    }
}
