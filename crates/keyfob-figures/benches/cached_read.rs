//! Compares a cached read with its floor: an `ArcSwap` load, `Instant::now`, and the clone of a ready `HeaderValue`.
//!
//! All of them run in turn in one process, so that a noisy machine slows all. The ratios are those of the medians. A
//! counting allocator shows that a read allocates nothing.

use std::time::Instant;

use keyfob_figures::{allocations, reads};

const ROUNDS: usize = 201;
const READS: u32 = 20_000;

fn main() {
    let reads = reads();
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for ((_, read), times) in reads.iter().zip(&mut times) {
            times.push(nanoseconds_per_read(read));
        }
    }
    let floor = median(&mut times[0]);
    println!(
        "{:<18}{:>9}{:>9}{:>14}",
        "read", "ns", "ratio", "allocations"
    );
    for ((name, read), times) in reads.iter().zip(&mut times) {
        let time = median(times);
        let allocations = allocations(read);
        println!(
            "{name:<18}{time:>9.1}{:>9.2}{allocations:>14}",
            time / floor
        );
    }
}

fn nanoseconds_per_read(read: impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..READS {
        read();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
