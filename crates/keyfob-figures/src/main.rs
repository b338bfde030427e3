//! Prints figures that do not depend on the machine, for the gate `figures`.
//!
//! Without arguments, it prints lines `name figure`: the allocations of a cached read, and the calls to the source when many
//! threads find no token at once. With the name of a kind of read and a number, it does only that number of reads, for a
//! tool that counts instructions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use std::{env, thread};

use keyfob::TokenCache;
use keyfob_figures::{allocations, reads};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let reads = reads();
    match arguments.as_slice() {
        [name, count] => {
            let read = reads.iter().find(|read| read.0 == name);
            let (_, read) = read.expect("the name of a kind of read");
            for _ in 0..count.parse().expect("a number of reads") {
                read();
            }
        }
        _ => {
            for (name, read) in &reads[1..] {
                // The first read on a thread may allocate for `ArcSwap`.
                read();
                println!("allocations of {name} {}", allocations(read));
            }
            println!("calls for a herd {}", calls_for_a_herd());
        }
    }
}

/// Counts the calls to the source when many threads find no token at once.
fn calls_for_a_herd() -> u64 {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let cache = TokenCache::new(keyfob::hook_blocking(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(50));
        Ok::<_, keyfob::Error>(("t0ken", Duration::from_secs(3600)))
    }));
    let start = Barrier::new(HERD);
    thread::scope(|scope| {
        for _ in 0..HERD {
            scope.spawn(|| {
                start.wait();
                cache.lease_blocking(None).expect("a token");
            });
        }
    });
    calls.load(Ordering::Relaxed)
}

const HERD: usize = 200;
