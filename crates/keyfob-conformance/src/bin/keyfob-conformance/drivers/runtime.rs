//! The runtime of a driver of an async interface.

use std::future::Future;

/// Runs a job on a new runtime of one thread.
pub(super) fn block_on<T>(job: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(job)
}
