//! What a pool of 100,000 keys costs: the memory of a key, a hit, a cold start, and keys that fail. `cargo xtask bench pool`.
//!
//! It is compared with a single cache, and with what a service would write: a `moka` cache of ready headers.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures by the system's clock"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use http::HeaderValue;
use keyfob::pool::PoolKey;
use keyfob::source::{TokenFuture, TokenRequest};
use keyfob::{FixedToken, Token, TokenCache, TokenPool, TokenSource};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

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
    memory(&keys);
    hits(&keys);
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        herd(&keys[..HERD]).await;
        failing(&keys[..HERD]).await;
    });
}

fn memory(keys: &[PoolKey]) {
    for length in [40, 900] {
        let before = ALLOCATED.load(Ordering::Relaxed);
        let pool = pool(length);
        for key in keys {
            drop(pool.lease_blocking(key, None).expect("a token"));
        }
        let each = (ALLOCATED.load(Ordering::Relaxed) - before) / KEYS - length;
        println!(
            "memory of a key beyond its token of {length} bytes: {each} bytes, target at most 1024"
        );
    }
    let before = ALLOCATED.load(Ordering::Relaxed);
    let moka = moka(keys, 900);
    let each = (ALLOCATED.load(Ordering::Relaxed) - before) / KEYS - 900;
    println!("the same of moka, with a ready header and an expiry: {each} bytes");
    drop(moka);
}

/// Reads the token of a key, by its number.
type Read<'a> = Box<dyn Fn(usize) + 'a>;

fn hits(keys: &[PoolKey]) {
    let single = TokenCache::new(FixedToken::new(token("single", 454).expect("a token")));
    single.authenticate_blocking().expect("a token");
    let (pool, moka) = (pool(454), moka(keys, 454));
    for key in keys {
        drop(pool.lease_blocking(key, None).expect("a token"));
    }
    let any = |number: usize| number.wrapping_mul(7919) % KEYS;
    let reads: [(&str, Read<'_>); 5] = [
        (
            "a single cache",
            Box::new(|_| drop(black_box(single.lease_blocking(None)))),
        ),
        (
            "one key",
            Box::new(|_| drop(black_box(pool.lease_blocking(&keys[7], None)))),
        ),
        (
            "any key",
            Box::new(|number| drop(black_box(pool.lease_blocking(&keys[any(number)], None)))),
        ),
        (
            "moka, one key",
            Box::new(|_| drop(black_box(read(&moka, &keys[7])))),
        ),
        (
            "moka, any key",
            Box::new(|number| drop(black_box(read(&moka, &keys[any(number)])))),
        ),
    ];
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        for ((_, read), times) in reads.iter().zip(&mut times) {
            times.push(time(read) - time(|_| ()));
        }
    }
    let mut floor = None;
    for ((name, _), times) in reads.iter().zip(times) {
        let time = median(times);
        let ratio = time / *floor.get_or_insert(time);
        println!("a hit of {name}: {time:.1} ns, {ratio:.2} of a single cache's");
    }
}

/// What a service would write: a bounded cache of ready headers, whose entries are dropped when their token expires.
type Moka = moka::sync::Cache<PoolKey, (HeaderValue, Instant)>;

fn moka(keys: &[PoolKey], length: usize) -> Moka {
    let cache = Moka::new((KEYS + KEYS / 10) as u64);
    for key in keys {
        let subject = key.subject();
        let header = HeaderValue::from_str(&format!("Bearer {subject:t>length$}"));
        let end = Instant::now() + Duration::from_secs(3600);
        cache.insert(key.clone(), (header.expect("a header"), end));
    }
    cache.run_pending_tasks();
    cache
}

fn read(moka: &Moka, key: &PoolKey) -> HeaderValue {
    let found = moka.get(key).filter(|(_, end)| Instant::now() < *end);
    found.expect("an entry").0
}

/// A pool over an issuer that takes 10 ms, and that refuses the first keys. Returns how often it was asked, too.
fn slow_pool(refused: usize) -> (TokenPool, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let pool = TokenPool::builder(move |key: &PoolKey| {
        let number = key
            .subject()
            .trim_start_matches(['u', 's', 'e', 'r', '-', '0']);
        let is_refused = number.parse::<usize>().unwrap_or(0) < refused;
        let calls = Arc::clone(&counted);
        Ok(keyfob::hook(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(ISSUER_TAKES).await;
                match is_refused {
                    true => Err(std::io::Error::other("refused")),
                    false => Ok(("t0ken", Duration::from_secs(3600))),
                }
            }
        }))
    });
    let pool = pool.max_entries(2 * HERD).fetches_at_once(AT_ONCE).build();
    (pool.expect("a pool"), calls)
}

/// Asks for all keys at once, and returns the time until the last caller has its result.
async fn ask(pool: &TokenPool, keys: &[PoolKey]) -> Duration {
    let start = Instant::now();
    let callers = keys.iter().map(|key| {
        let (pool, key) = (pool.clone(), key.clone());
        tokio::spawn(async move { pool.lease(&key, None).await.is_ok() })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("no panic");
    }
    start.elapsed()
}

async fn herd(keys: &[PoolKey]) {
    let (pool, calls) = slow_pool(0);
    let took = ask(&pool, keys).await;
    let ideal = ISSUER_TAKES * (HERD / AT_ONCE) as u32;
    println!(
        "{HERD} keys at once, {AT_ONCE} fetches of {ISSUER_TAKES:?} at once: {took:.2?}, {:.2} of the ideal, target at most 1.20",
        took.as_secs_f64() / ideal.as_secs_f64()
    );
    ask(&pool, keys).await;
    println!(
        "fetches of {HERD} keys that were asked for twice: {}",
        calls.load(Ordering::Relaxed)
    );
}

async fn failing(keys: &[PoolKey]) {
    const REFUSED: usize = 1000;
    let (alone, _) = slow_pool(0);
    let alone = ask(&alone, &keys[REFUSED..]).await;
    let (pool, calls) = slow_pool(REFUSED);
    ask(&pool, &keys[..REFUSED]).await;
    let (with_failures, _) =
        tokio::join!(ask(&pool, &keys[REFUSED..]), ask(&pool, &keys[..REFUSED]));
    println!(
        "{} keys, while {REFUSED} others fail: {with_failures:.2?}, {:.2} of the time without them; {} fetches",
        HERD - REFUSED,
        with_failures.as_secs_f64() / alone.as_secs_f64(),
        calls.load(Ordering::Relaxed)
    );
}

const HERD: usize = 10_000;
const AT_ONCE: usize = 100;
const ISSUER_TAKES: Duration = Duration::from_millis(50);

fn time(read: impl Fn(usize)) -> f64 {
    // The time of this thread alone, because a busy machine interrupts such a long round.
    let start = clock_gettime(ClockId::ThreadCPUTime);
    for number in 0..KEYS {
        read(number);
        // A request has one hit, so the processor must not begin the next one while it waits for memory.
        fence(Ordering::SeqCst);
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
