//! The metrics of a store.

use keyfob::store::MemoryStore;

use crate::counters::figures_of;
use crate::fixtures::{FailingStore, Process, SECOND, token};

#[test]
fn a_store_outage_and_tokens_fetched_without_the_store_are_counted() {
    let figures = figures_of(async {
        let store = FailingStore::default();
        store.set_unavailable(true);
        let process = Process::repeatable(store);
        process.get_with_response(token(1)).await.unwrap();
        process.clock.advance(SECOND * 11);
        process.get().await.unwrap();
    });
    assert_eq!(figures["keyfob_local_fetches_total"], 1);
    assert!(figures["keyfob_store_failures_total"] >= 1, "{figures:?}");
    assert!(!figures.contains_key("keyfob_adopted_tokens_total"));
}

#[test]
fn a_token_read_from_the_store_is_counted() {
    let figures = figures_of(async {
        let store = MemoryStore::default();
        let first = Process::repeatable(store.clone());
        first.get_with_response(token(1)).await.unwrap();
        Process::repeatable(store).get().await.unwrap();
    });
    assert_eq!(figures["keyfob_adopted_tokens_total"], 1);
    assert!(!figures.contains_key("keyfob_store_failures_total"));
}
