//! The kinds of a cached read, the least work that any cache has, and an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use http::HeaderValue;
use keyfob::{Token, TokenCache};

/// A cache with a fresh token of a usual size.
pub fn cache() -> TokenCache {
    let text = "t".repeat(454);
    let cache = TokenCache::new(keyfob::hook_blocking(move |_| {
        Ok::<_, keyfob::Error>(Token::new(text.clone())?.expires_in(Duration::from_secs(3600)))
    }));
    cache.authenticate_blocking().expect("the hook has a token");
    cache
}

/// The name of a kind of read, and the read itself.
pub type Read = (&'static str, Box<dyn Fn()>);

/// The kinds of read. The first is the floor.
pub fn reads() -> [Read; 4] {
    let cache = cache();
    let header = cache.clone();
    let lease = cache.clone();
    let blocking = cache;
    [
        ("floor", Box::new(floor())),
        (
            "header",
            Box::new(move || drop(black_box(header.header().expect("the token is fresh")))),
        ),
        (
            "lease, async",
            Box::new(move || {
                let lease = lease.lease(None).now_or_never();
                let lease = lease.expect("the token is fresh").expect("and valid");
                drop(black_box(lease.header().clone()));
            }),
        ),
        (
            "lease, blocking",
            Box::new(move || {
                let lease = blocking.lease_blocking(None).expect("the token is fresh");
                drop(black_box(lease.header().clone()));
            }),
        ),
    ]
}

/// The least work that any cache has: an `ArcSwap` load, a check by `Instant::now`, and the clone of a ready header.
fn floor() -> impl Fn() {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", "t".repeat(454))).expect("a legal value");
    value.set_sensitive(true);
    let end = Instant::now() + Duration::from_secs(3600);
    let current = ArcSwap::new(Arc::new((value, end)));
    move || {
        let current = current.load();
        if Instant::now() < current.1 {
            drop(black_box(current.0.clone()));
        }
    }
}

/// Counts the allocations while this runs.
pub fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is always unsafe code; this one only counts and delegates"
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
