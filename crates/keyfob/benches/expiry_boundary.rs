//! Measures how long a read waits while tokens expire under load: 3-second tokens, 100 ms to fetch one, 2,000 reads per
//! second.
//!
//! Only the read is timed, not how late a reader wakes up on a busy machine. As many empty reads are timed too, which shows
//! what the machine itself adds.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures by the system's clock"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use keyfob::TokenCache;

const SECONDS: u64 = 20;
const READS_PER_SECOND: u32 = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async { tokio::spawn(measure()).await.expect("no panic") });
}

async fn measure() {
    let tokens = TokenCache::new(keyfob::hook(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(("t0ken", Duration::from_secs(3)))
    }));
    tokens.authenticate().await.expect("a first token");

    let mut tick = tokio::time::interval(Duration::from_secs(1) / READS_PER_SECOND);
    let (mut reads, mut empty) = (Vec::new(), Vec::new());
    let end = Instant::now() + Duration::from_secs(SECONDS);
    while Instant::now() < end {
        tick.tick().await;
        let start = Instant::now();
        black_box(start);
        empty.push(start.elapsed());
        let start = Instant::now();
        black_box(tokens.lease(None).await.expect("a token").header().clone());
        reads.push(start.elapsed());
    }

    let status = tokens.status();
    println!(
        "{} reads, {} renewals, {} delayed",
        reads.len(),
        status.renewals,
        status.delayed
    );
    println!(
        "{:<8}{:>12}{:>12}{:>12}{:>12}",
        "", "p50", "p99", "p99.9", "max"
    );
    for (name, times) in [("empty", &mut empty), ("read", &mut reads)] {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{name:<8}{:>12?}{:>12?}{:>12?}{:>12?}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
}
