//! What a pool of 100,000 keys costs: a hit, against that of a single cache, and the memory of a key.
//!
//! `cargo xtask bench pool` compares a pool with what a service would write. This shows the parts, for work on them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyfob::pool::PoolKey;
use keyfob::source::{TokenFuture, TokenRequest};
use keyfob::{FixedToken, Token, TokenCache, TokenPool, TokenSource};
use rustix::time::{ClockId, clock_gettime};

const KEYS: usize = 100_000;
const ROUNDS: usize = 21;

fn token(subject: &str, length: usize) -> Result<Token, keyfob::Error> {
    Ok(Token::new(format!("{subject:t>length$}"))?.expires_in(Duration::from_secs(3600)))
}

/// The least source that there can be: it knows its key.
struct ForKey(PoolKey, usize);

impl TokenSource for ForKey {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async { token(self.0.subject(), self.1) })
    }
}

fn pool(length: usize) -> TokenPool {
    TokenPool::builder(move |key: &PoolKey| Ok(ForKey(key.clone(), length)))
        .max_entries(KEYS + KEYS / 10)
        .build()
        .expect("a pool")
}

fn main() {
    let keys: Vec<_> = (0..KEYS)
        .map(|number| PoolKey::new(format!("user-{number:0>31}")).expect("a key"))
        .collect();
    for length in [40, 900] {
        let before = ALLOCATED.load(Ordering::Relaxed);
        let pool = pool(length);
        for key in &keys {
            drop(pool.lease_blocking(key, None).expect("a token"));
        }
        let memory = ALLOCATED.load(Ordering::Relaxed) - before;
        println!(
            "a key with a token of {length} bytes: {} bytes more, in {} entries",
            memory / KEYS - length,
            pool.status().entries
        );
    }
    let single = TokenCache::new(FixedToken::new(token("single", 454).expect("a token")));
    single.authenticate_blocking().expect("a token");
    let pool = pool(454);
    for key in &keys {
        drop(pool.lease_blocking(key, None).expect("a token"));
    }
    let (mut one, mut same, mut random) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(time(|_| drop(black_box(single.lease_blocking(None)))));
        same.push(time(|_| {
            drop(black_box(pool.lease_blocking(&keys[7], None)))
        }));
        random.push(time(|number| {
            let key = &keys[number.wrapping_mul(7919) % KEYS];
            drop(black_box(pool.lease_blocking(key, None)));
        }));
    }
    let (one, same, random) = (median(one), median(same), median(random));
    println!("{:?}", pool.status());
    println!("a single cache: {one:.1} ns");
    println!(
        "a hit of one key: {same:.1} ns, {:.2} times that",
        same / one
    );
    println!(
        "a hit of any key: {random:.1} ns, {:.2} times that",
        random / one
    );
}

fn time(read: impl Fn(usize)) -> f64 {
    // The time of this thread alone, because a busy machine interrupts such a long round.
    let start = clock_gettime(ClockId::ThreadCPUTime);
    for number in 0..KEYS {
        read(number);
    }
    let end = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec);
    nanoseconds as f64 / KEYS as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is always unsafe code; this one only counts and delegates"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}
