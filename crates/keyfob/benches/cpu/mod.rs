//! What the benches of CPU time per request share.

use std::future::Future;

use rustix::time::{ClockId, clock_gettime};

/// The number of batches that each client sends, in turn with the others.
pub(crate) const ROUNDS: usize = 101;

/// The number of requests in a batch.
const REQUESTS: u32 = 200;

/// Sends a batch, and returns the CPU seconds of this thread per request.
pub(crate) async fn batch<F: Future<Output = ()>>(mut send: impl FnMut() -> F) -> f64 {
    let start = cpu();
    for _ in 0..REQUESTS {
        send().await;
    }
    (cpu() - start) / f64::from(REQUESTS)
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
