//! What the benches of CPU per request have in common.

use std::future::Future;

use rustix::time::{ClockId, clock_gettime};

/// How many batches each contender sends, in turn with the others.
pub(crate) const ROUNDS: usize = 101;

/// So many requests make a batch.
const REQUESTS: u32 = 200;

/// Seconds of this thread's CPU for each request of a batch.
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
