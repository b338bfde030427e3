//! What do many callers cost if the token is missing, or if the source fails?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::chart::Bar;
use crate::each_peer;
use crate::figure::{figure, time};
use crate::peers::Peer;
use crate::peers::keyfob::Keyfob;
use crate::source::Source;
use crate::table::{Table, verdict};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Failing,
}

/// The results of many callers at once.
struct Outcome {
    calls: u64,
    last: f64,
    answered: usize,
}

pub async fn ask_missing() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for callers in [1_000, 10_000] {
        each_peer!(run_missing(callers, &mut rows, &mut bars, &mut verdicts));
    }
    Table {
        name: "herd",
        title: "A herd on a missing token".to_owned(),
        about: "All callers ask for a token at once, and the source takes 50 ms. *Last* is the time until the last \
                caller has a token, as a ratio to those 50 ms. `middle` is left out, because it fetches a token in its \
                constructor.",
        columns: vec!["", "callers", "calls to the source", "last", "time"],
        rows,
        measured: "10,000 callers: time until the last has a token, ratio to the source's",
        bars,
        verdicts,
    }
}

async fn run_missing<P: Peer>(
    callers: usize,
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    if P::EAGER {
        return;
    }
    let mut outcomes = Vec::new();
    for _ in 0..REPEATS {
        outcomes.push(herd::<P>(callers, State::Missing).await);
    }
    outcomes.sort_by(|a, b| a.last.total_cmp(&b.last));
    let calls = outcomes
        .iter()
        .map(|outcome| outcome.calls)
        .max()
        .unwrap_or(0);
    let last = outcomes[REPEATS / 2].last;
    let ratio = last / DELAY.as_secs_f64();
    rows.push(vec![
        P::NAME.to_owned(),
        callers.to_string(),
        calls.to_string(),
        figure(ratio),
        time(last),
    ]);
    let ours = P::NAME.starts_with("keyfob");
    if callers == 10_000 {
        bars.push(
            Bar::new(P::NAME, ratio, ours).labelled(format!("{} ({calls} calls)", figure(ratio))),
        );
    }
    if ours {
        verdicts.extend(aims(callers, calls, ratio));
    }
}

pub async fn ask_failing() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    run_failing::<Keyfob>(10_000, &mut rows, &mut bars, &mut verdicts).await;
    each_peer!(run_failing(100, &mut rows, &mut bars, &mut verdicts));
    Table {
        name: "failing-herd",
        title: "A herd on a source that fails".to_owned(),
        about: "All callers ask for a token at once, and the source refuses after 50 ms. Its status is one that no \
                library retries by itself, unless it retries everything. Stopped after 10 s. *Last* is the time until \
                the last caller has its error, as a ratio to those 50 ms.",
        columns: vec![
            "",
            "callers",
            "calls to the source",
            "results",
            "last",
            "time",
        ],
        rows,
        measured: "time until the last of 100 callers has its answer, ratio to the source's",
        bars,
        verdicts,
    }
}

async fn run_failing<P: Peer>(
    callers: usize,
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    if P::EAGER {
        return;
    }
    let Outcome {
        calls,
        last,
        answered,
    } = herd::<P>(callers, State::Failing).await;
    let ratio = last / DELAY.as_secs_f64();
    rows.push(vec![
        P::NAME.to_owned(),
        callers.to_string(),
        calls.to_string(),
        answered.to_string(),
        figure(ratio),
        time(last),
    ]);
    let ours = P::NAME.starts_with("keyfob");
    if callers == 100 {
        bars.push(
            Bar::new(P::NAME, ratio, ours).labelled(format!("{} ({calls} calls)", figure(ratio))),
        );
    }
    if ours {
        verdicts.extend(aims(callers, calls, ratio));
    }
}

/// The goal: one call for all callers, and no caller waits much longer than for this call.
fn aims(callers: usize, calls: u64, ratio: f64) -> [String; 2] {
    let (called, last) = (
        format!("{callers} callers, calls"),
        format!("{callers} callers, last"),
    );
    [
        verdict(&called, calls as f64, 1.0, ""),
        verdict(&last, ratio, 1.3, " of the source's time"),
    ]
}

async fn herd<P: Peer>(callers: usize, state: State) -> Outcome {
    let source = Source::new(DELAY, Duration::from_secs(3600));
    if state == State::Failing {
        source.fail();
    }
    let peer = Arc::new(P::start(Arc::clone(&source)).await.expect(P::NAME));
    let begin = Arc::new(Barrier::new(callers + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (peer, begin) = (Arc::clone(&peer), Arc::clone(&begin));
        tasks.spawn(async move {
            begin.wait().await;
            let answer = peer.header().await;
            assert_eq!(
                answer.is_ok(),
                state == State::Missing,
                "{}: {answer:?}",
                P::NAME
            );
        });
    }
    begin.wait().await;
    let start = Instant::now();
    let answered = all_that_end(tasks, start + PATIENCE).await.len();
    Outcome {
        calls: source.calls(),
        last: start.elapsed().as_secs_f64(),
        answered,
    }
}

/// The results of the tasks that end before the deadline.
pub async fn all_that_end<T: 'static>(mut tasks: JoinSet<T>, end: Instant) -> Vec<T> {
    let mut ended = Vec::new();
    while let Ok(Some(task)) = timeout_at(end.into(), tasks.join_next()).await {
        ended.push(task.expect("no panic"));
    }
    ended
}

const DELAY: Duration = Duration::from_millis(50);
/// The maximum wait for a result.
pub const PATIENCE: Duration = Duration::from_secs(10);
const REPEATS: usize = 5;
