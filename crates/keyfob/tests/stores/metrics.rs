//! The metrics of a store.

use std::collections::BTreeMap;

use keyfob::store::MemoryStore;
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

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

/// The counters and their values.
fn figures_of(work: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    let figures = snapshotter.snapshot().into_vec().into_iter();
    let counter = |(key, _, _, value): (CompositeKey, _, _, DebugValue)| match value {
        DebugValue::Counter(count) => Some((key.key().name().to_owned(), count)),
        _ => None,
    };
    figures.filter_map(counter).collect()
}
