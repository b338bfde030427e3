//! The store in a Redis Cluster: slots that move, and masters that die.

use std::time::{Duration, Instant};

use keyfob::store::{Entry, TokenStore};

use crate::counters::figures_of;
use crate::fixtures::{Process, SECOND, key, token};
use crate::redis_cluster_server::{RedisCluster, Whose};
use crate::redis_server::WAIT_LIMIT;

fn entry(number: u32) -> Entry {
    Entry::new(token(number).unwrap(), std::time::SystemTime::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_slot_that_moves_to_another_node_loses_no_token() {
    let cluster = RedisCluster::start();
    let store = cluster.store();
    let process = Process::rotating(store.clone());
    process.get_with_response(token(1)).await.unwrap();
    let mut lease = store.lease(&key(), SECOND).await.unwrap();
    assert!(lease.load().await.unwrap().is_some());
    cluster.move_slot(&key(), || {
        tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(async { lease.save(&entry(2)).await.unwrap() });
        });
    });
    lease.save(&entry(3)).await.unwrap();
    lease.release().await;
    let other = cluster.store().load(&key()).await.unwrap().unwrap();
    assert_eq!(other.entry.token().unwrap().expose(), "token-3");
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn t9_a_store_goes_on_with_the_replica_of_a_master_that_died() {
    let mut cluster = RedisCluster::start();
    let store = cluster.store();
    store.replace(&key(), &entry(1), SECOND).await.unwrap();
    cluster.fail_over(&key());
    for store in [store, cluster.store()] {
        let found = store.load(&key()).await.unwrap().unwrap();
        let before = found.entry.token().unwrap().expose().to_owned();
        assert!(before.starts_with("token-"), "{before}");
        store.replace(&key(), &entry(2), SECOND).await.unwrap();
    }
}

/// How long a save takes while some replicas are stopped, and how many saves were not replicated.
fn save_without_replicas(whose: Whose) -> (Duration, u64) {
    let cluster = RedisCluster::start();
    let store = cluster.store().replicas(1);
    let mut took = Duration::ZERO;
    let figures = figures_of(async {
        store.replace(&key(), &entry(1), SECOND).await.unwrap();
        cluster.stop_replicas(&key(), whose);
        let start = Instant::now();
        store.replace(&key(), &entry(2), SECOND).await.unwrap();
        took = start.elapsed();
    });
    let unreplicated = figures.get("keyfob_unreplicated_saves_total");
    (took, unreplicated.copied().unwrap_or(0))
}

#[test]
fn t9_a_save_in_a_cluster_waits_for_the_replica_of_its_own_master() {
    let (took, unreplicated) = save_without_replicas(Whose::OtherMasters);
    assert!(took < WAIT_LIMIT && unreplicated == 0, "{took:?}");
    let (took, unreplicated) = save_without_replicas(Whose::ThisMasters);
    assert!(took > WAIT_LIMIT && unreplicated == 1, "{took:?}");
}
