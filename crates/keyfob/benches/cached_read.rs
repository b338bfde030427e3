//! The cached read against its floor: an `ArcSwap` load, `Instant::now`, and the clone of a ready `HeaderValue`.
//!
//! Both sides run alternately in the same process, so that a noisy machine slows both. The last lines are the ratios of
//! the medians. A counting allocator shows that a read allocates nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench runs by the system's clock"
)]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use http::HeaderValue;
use keyfob::Token;
use keyfob::TokenCache;

const ROUNDS: usize = 201;
const READS: u32 = 20_000;

fn main() {
    let cache = cache();
    let floor = floor();
    let mut header = || drop(black_box(cache.header()));
    let mut lease = || {
        let lease = cache
            .lease(None)
            .now_or_never()
            .expect("the token is fresh")
            .expect("and valid");
        drop(black_box(lease.header().clone()));
    };
    let mut blocking = || {
        drop(black_box(
            cache
                .lease_blocking(None)
                .expect("the token is fresh")
                .header()
                .clone(),
        ))
    };
    let mut floor = || floor();
    let mut contenders: [(&str, &mut dyn FnMut()); 4] = [
        ("floor", &mut floor),
        ("header", &mut header),
        ("lease, async", &mut lease),
        ("lease, blocking", &mut blocking),
    ];

    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(nanoseconds_each(contender.1));
        }
    }

    let floor = median(&mut times[0]);
    println!(
        "{:<18}{:>9}{:>9}{:>14}",
        "read", "ns", "ratio", "allocations"
    );
    for (contender, times) in contenders.iter_mut().zip(&mut times) {
        let time = median(times);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        contender.1();
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!(
            "{:<18}{time:>9.1}{:>9.2}{allocations:>14}",
            contender.0,
            time / floor
        );
    }
}

/// A cache whose token is fresh, and of a usual size.
fn cache() -> TokenCache {
    let text = "t".repeat(454);
    let cache = TokenCache::new(keyfob::hook_blocking(move |_| {
        Ok::<_, keyfob::Error>(Token::new(text.clone())?.expires_in(Duration::from_secs(3600)))
    }));
    cache.authenticate_blocking().expect("the hook has a token");
    cache
}

fn floor() -> impl Fn() {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", "t".repeat(454))).expect("a legal value");
    value.set_sensitive(true);
    let current = ArcSwap::new(Arc::new((
        value,
        Instant::now() + Duration::from_secs(3600),
    )));
    move || {
        let current = current.load();
        if Instant::now() < current.1 {
            drop(black_box(current.0.clone()));
        }
    }
}

fn nanoseconds_each(read: &mut dyn FnMut()) -> f64 {
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

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by nature; this one only counts"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}
