//! Counts what a test causes, as the metrics show it.

use std::collections::BTreeMap;

use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// The counters and their values.
pub(crate) fn figures_of(work: impl Future<Output = ()>) -> BTreeMap<String, u64> {
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
