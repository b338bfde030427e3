//! What does a cached read cost, up to the header value, on one thread and on two?

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::runtime::Handle;

use crate::chart::Bar;
use crate::each_peer;
use crate::figure::{figure, time};
use crate::measure::{allocations, median};
use crate::peers::keyfob::Keyfob;
use crate::peers::{Peer, bearer};
use crate::source::{Source, text};
use crate::table::{Table, verdict};

/// Reads this often on the calling thread.
type Read = Box<dyn Fn(u32) + Send + Sync>;

struct Contender {
    name: &'static str,
    read: Read,
    alone: Vec<f64>,
    together: Vec<f64>,
    allocations: f64,
}

pub fn ask(handle: &Handle) -> Table {
    let mut contenders = vec![
        contender("floor", Box::new(floor())),
        contender("keyfob, header()", header(handle)),
        contender("keyfob, blocking", blocking(handle)),
    ];
    handle.block_on(async { each_peer!(add(handle, &mut contenders)) });
    for round in 0..ROUNDS {
        for contender in &mut contenders {
            let alone = alone(&contender.read);
            let together = together(&contender.read);
            // The first round fills caches.
            if round > 0 {
                contender.alone.push(alone);
                contender.together.push(together);
            }
        }
    }
    table(contenders)
}

fn contender(name: &'static str, read: Read) -> Contender {
    read(100);
    let before = allocations();
    read(1000);
    let allocations = (allocations() - before) as f64 / 1000.0;
    Contender {
        name,
        read,
        alone: Vec::new(),
        together: Vec::new(),
        allocations,
    }
}

async fn add<P: Peer>(handle: &Handle, contenders: &mut Vec<Contender>) {
    let source = Source::new(Duration::ZERO, Duration::from_secs(3600));
    let peer = P::start(source).await.expect(P::NAME);
    peer.header().await.expect(P::NAME);
    let handle = handle.clone();
    let read = move |reads: u32| {
        handle.block_on(async {
            for _ in 0..reads {
                drop(black_box(peer.header().await));
            }
        });
    };
    // Blocking on a runtime is not allowed inside of it.
    let made = thread::scope(|scope| scope.spawn(|| contender(P::NAME, Box::new(read))).join());
    contenders.push(made.expect("no panic"));
}

/// The minimal check of an expiry: an `ArcSwap` load, `Instant::now`, and the clone of a header value.
fn floor() -> impl Fn(u32) + Send + Sync {
    let end = Instant::now() + Duration::from_secs(3600);
    let value: HeaderValue = bearer(&text(0)).expect("a header");
    let current = ArcSwap::new(Arc::new((value, end)));
    move |reads| {
        for _ in 0..reads {
            let current = current.load();
            if Instant::now() < current.1 {
                drop(black_box(current.0.clone()));
            }
        }
    }
}

fn ours(handle: &Handle) -> keyfob::TokenCache {
    let source = Source::new(Duration::ZERO, Duration::from_secs(3600));
    handle.block_on(async {
        let peer = Keyfob::start(source).await.expect("a cache");
        peer.header().await.expect("a token");
        peer.tokens
    })
}

fn header(handle: &Handle) -> Read {
    let tokens = ours(handle);
    Box::new(move |reads| {
        for _ in 0..reads {
            drop(black_box(tokens.header().expect("a token")));
        }
    })
}

fn blocking(handle: &Handle) -> Read {
    let tokens = ours(handle);
    Box::new(move |reads| {
        for _ in 0..reads {
            let lease = tokens.lease_blocking(None).expect("a token");
            drop(black_box(lease.header().clone()));
        }
    })
}

/// The seconds of one read on one thread.
fn alone(read: &Read) -> f64 {
    let start = Instant::now();
    read(READS);
    start.elapsed().as_secs_f64() / f64::from(READS)
}

/// The same on each of two threads that read at the same time.
fn together(read: &Read) -> f64 {
    let start = Barrier::new(2);
    let one = || {
        start.wait();
        alone(read)
    };
    thread::scope(|scope| {
        let (a, b) = (scope.spawn(one), scope.spawn(one));
        let (a, b) = (a.join().expect("no panic"), b.join().expect("no panic"));
        (a + b) / 2.0
    })
}

fn table(mut contenders: Vec<Contender>) -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    let floor = median(&mut contenders[0].alone);
    let (mut ours_to_floor, mut fastest_peer) = (Vec::new(), (f64::MAX, ""));
    for contender in &mut contenders {
        let alone = median(&mut contender.alone);
        let together = median(&mut contender.together);
        let (ratio, scaling) = (alone / floor, 2.0 * alone / together);
        let ours = contender.name.starts_with("keyfob");
        rows.push(vec![
            contender.name.to_owned(),
            figure(ratio),
            figure(together / floor),
            figure(scaling),
            figure(contender.allocations),
            time(alone),
        ]);
        bars.push(Bar::new(contender.name, ratio, ours));
        if ours {
            ours_to_floor.push((contender.name, ratio));
            verdicts.push(verdict(
                &format!("{} against the floor", contender.name),
                ratio,
                1.0,
                "",
            ));
            let kept = if scaling >= 1.8 { "kept" } else { "**missed**" };
            verdicts.push(format!(
                "{} on two threads: {} times as many reads, target at least 1.8: {kept}.",
                contender.name,
                figure(scaling)
            ));
        } else if contender.name != "floor" && contender.name != "middle" && ratio < fastest_peer.0
        {
            fastest_peer = (ratio, contender.name);
        }
    }
    for (name, ratio) in ours_to_floor {
        let lead = fastest_peer.0 / ratio;
        let kept = if lead >= 5.0 { "kept" } else { "**missed**" };
        verdicts.push(format!(
            "{name} compared to the fastest library that checks the expiry ({}): {} times faster, target at least 5: {kept}.",
            fastest_peer.1,
            figure(lead)
        ));
    }
    Table {
        name: "cached-read",
        title: "A cached read of a ready header".to_owned(),
        about: "Ratios to the floor: a load from an `ArcSwap`, `Instant::now`, and the clone of a ready header. The \
                token has 454 characters and a lifetime of an hour. *Two threads* is the time of a read while another \
                thread reads too. *Scaling* is the number of reads on two threads divided by the number on one. \
                `middle` does not check the expiry on a read.",
        columns: vec![
            "",
            "one thread",
            "two threads",
            "scaling",
            "allocations",
            "time of one",
        ],
        rows,
        measured: "time of a read on one thread, ratio to the floor",
        bars,
        verdicts,
    }
}

const ROUNDS: usize = 41;
const READS: u32 = 20_000;
