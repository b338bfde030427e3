//! Which requests wait when tokens expire under a steady load?

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chart::Bar;
use crate::each_peer;
use crate::figure::time;
use crate::measure::percentile;
use crate::peers::Peer;
use crate::source::Source;
use crate::table::{Table, verdict};

pub async fn ask() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    each_peer!(run(&mut rows, &mut bars, &mut verdicts));
    Table {
        name: "expiry-boundary",
        title: "Tokens that expire under load".to_owned(),
        about: "Tokens live for 3 s and take 100 ms to fetch; 2,000 reads a second for 9 s. *Empty* is the 99.9th \
                percentile of an empty read: the part that the machine adds. *Delayed* is the share of reads that took \
                longer than 1 ms. Each library uses its own margin before the expiry. For several libraries the margin \
                is longer than the lifetime of these tokens, so every read waits.",
        columns: vec![
            "", "p50", "p99", "p99.9", "max", "empty", "delayed", "calls", "errors",
        ],
        rows,
        measured: "99.9th percentile of the time of a read, in µs",
        bars,
        verdicts,
    }
}

async fn run<P: Peer>(
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    let source = Source::new(Duration::from_millis(100), Duration::from_secs(3));
    let peer = Arc::new(P::start(Arc::clone(&source)).await.expect(P::NAME));
    let _ = peer.header().await;
    let load = Load::of(peer, READS_A_SECOND, Duration::from_secs(9)).await;
    let Load {
        mut reads,
        mut empty,
        errors,
    } = load;
    let late = reads
        .iter()
        .filter(|read| **read > Duration::from_millis(1))
        .count();
    let at = |times: &mut Vec<Duration>, share| time(percentile(times, share).as_secs_f64());
    let worst = percentile(&mut reads, 0.999).as_secs_f64();
    rows.push(vec![
        P::NAME.to_owned(),
        at(&mut reads, 0.5),
        at(&mut reads, 0.99),
        time(worst),
        at(&mut reads, 1.0),
        at(&mut empty, 0.999),
        format!("{:.1} %", 100.0 * late as f64 / reads.len() as f64),
        source.calls().to_string(),
        errors.to_string(),
    ]);
    let ours = P::NAME.starts_with("keyfob");
    bars.push(Bar::new(P::NAME, worst * 1e6, ours).labelled(time(worst)));
    if ours {
        verdicts.push(verdict("p99.9", worst * 1e6, 100.0, " µs"));
    }
}

/// The latencies of a steady load.
pub struct Load {
    pub reads: Vec<Duration>,
    pub empty: Vec<Duration>,
    pub errors: usize,
}

impl Load {
    /// Reads at regular intervals, each in its own task, so that a read that waits does not delay others.
    pub async fn of<P: Peer>(peer: Arc<P>, reads_a_second: u32, length: Duration) -> Self {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / reads_a_second);
        let end = Instant::now() + length;
        let (mut tasks, mut empty) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            tick.tick().await;
            let peer = Arc::clone(&peer);
            tasks.push(tokio::spawn(async move {
                let start = Instant::now();
                black_box(start);
                let empty = start.elapsed();
                let start = Instant::now();
                let answer = peer.header().await;
                (start.elapsed(), empty, answer.is_err())
            }));
        }
        let (mut reads, mut errors) = (Vec::new(), 0);
        let max_wait = Instant::now() + Duration::from_secs(20);
        for task in tasks {
            let left = max_wait.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, task).await {
                Ok(ended) => {
                    let (read, nothing, failed) = ended.expect("no panic");
                    reads.push(read);
                    empty.push(nothing);
                    errors += usize::from(failed);
                }
                Err(_) => reads.push(Duration::from_secs(20)),
            }
        }
        Self {
            reads,
            empty,
            errors,
        }
    }
}

const READS_A_SECOND: u32 = 2_000;
