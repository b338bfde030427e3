//! The store in a Redis Cluster: slots that move, and masters that die.

use keyfob::store::{Entry, TokenStore};

use crate::fixtures::{Process, SECOND, key, token};
use crate::redis_cluster_server::RedisCluster;

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
