//! What the benches of CPU time per request share.

use std::future::Future;

use rustix::time::{ClockId, clock_gettime};

/// The number of batches that each client sends, in turn with the others.
pub(crate) const ROUNDS: usize = 101;

/// The number of requests in a batch.
const REQUESTS: u32 = 200;

/// Keeps this thread, and those that it starts, on one processor.
///
/// On several, each request wakes an idle one. In a virtual machine that takes twice the CPU time of a request, and more or less
/// of it from batch to batch.
///
/// Only Linux can keep it there.
pub(crate) fn stay_on_one_processor() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let all = sched_getaffinity(None).expect("the processors of this thread");
        let first = (0..CpuSet::MAX_CPU).find(|&processor| all.is_set(processor));
        let mut one = CpuSet::new();
        one.set(first.expect("a processor"));
        sched_setaffinity(None, &one).expect("to run on one processor");
    }
}

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
