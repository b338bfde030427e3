//! Figures that do not depend on the machine, for the gate `figures`.
//!
//! Without arguments: what a cached read allocates and what a herd of callers costs the source, as lines `name figure`. With
//! the name of a way to read and a number: so many such reads and nothing else, for a tool that counts instructions.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench runs by the system's clock"
)]

mod read;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use std::{env, thread};

use keyfob::TokenCache;

use crate::read::{allocations, ways};

fn main() {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let ways = ways();
    match arguments.as_slice() {
        [name, count] => {
            let way = ways.iter().find(|way| way.0 == name);
            let (_, read) = way.expect("the name of a way to read");
            for _ in 0..count.parse().expect("a number of reads") {
                read();
            }
        }
        _ => {
            for (name, read) in &ways[1..] {
                // The first read on a thread may make room for what it borrows.
                read();
                println!("allocations of {name} {}", allocations(read));
            }
            println!("calls for a herd {}", calls_for_a_herd());
        }
    }
}

/// How often the source is asked when many threads find no token at once.
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
