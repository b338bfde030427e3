//! What do many callers cost who find the token missing, the source failing, or the token revoked?

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use keyfob_testkit::Answer;
use keyfob_testkit::Expect;
use keyfob_testkit::Server;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chart::Bar;
use crate::each_peer;
use crate::peers::Peer;
use crate::peers::keyfob::Keyfob;
use crate::source::Source;
use crate::source::text;
use crate::table::Table;
use crate::table::figure;
use crate::table::time;
use crate::table::verdict;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Failing,
}

/// What came of a herd.
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
        about: "All callers ask at once; the source takes 50 ms. *Last* is the time until the last of them has a token, as a ratio to those 50 ms. \
                `middle` is left out: it has a token when it is made.",
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
        verdicts.push(verdict(
            &format!("{callers} callers, calls"),
            calls as f64,
            1.0,
            "",
        ));
        verdicts.push(verdict(
            &format!("{callers} callers, last"),
            ratio,
            1.3,
            " of the source's time",
        ));
    }
}

pub async fn ask_failing() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    run_failing::<Keyfob>(10_000, &mut rows, &mut bars, &mut verdicts).await;
    each_peer!(run_failing(100, &mut rows, &mut bars, &mut verdicts));
    Table {
        name: "failing-herd",
        title: "A herd on a source that fails".to_owned(),
        about: "All callers ask at once; the source refuses after 50 ms, with a status that no peer repeats a request for by itself, unless it repeats all. \
                Stopped after 10 s. *Last* is the time until the last caller has its answer, as a ratio to those 50 ms.",
        columns: vec![
            "",
            "callers",
            "calls to the source",
            "answered",
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
        verdicts.push(verdict(
            &format!("{callers} callers, calls"),
            calls as f64,
            1.0,
            "",
        ));
        verdicts.push(verdict(
            &format!("{callers} callers, last"),
            ratio,
            1.3,
            " of the source's time",
        ));
    }
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
    let mut answered = 0;
    while let Ok(Some(ended)) =
        timeout(PATIENCE.saturating_sub(start.elapsed()), tasks.join_next()).await
    {
        ended.expect("no panic");
        answered += 1;
    }
    Outcome {
        calls: source.calls(),
        last: start.elapsed().as_secs_f64(),
        answered,
    }
}

/// A thousand requests whose token is revoked while they are under way.
pub async fn ask_late() -> Table {
    let source = Source::new(DELAY, Duration::from_secs(3600));
    let ours = Keyfob::start(Arc::clone(&source)).await.expect("a cache");
    let server = Server::builder().kept(0).start();
    let revoked = Answer::unauthorized("Bearer error=\"invalid_token\"");
    server
        .expect(Expect::any().bearer(&text(0)).always(revoked))
        .expect(
            Expect::any()
                .bearer(&text(1))
                .always(Answer::json(json!({}))),
        );
    let session = keyfob::Session::new(server.url(), ours.tokens.clone()).expect("a session");
    session.authenticate().await.expect("a token");
    let mut tasks = JoinSet::new();
    for _ in 0..LATE {
        let session = session.clone();
        let url = server.url();
        tasks.spawn(async move { session.get(url).send().await.expect("an answer").status() });
    }
    let mut healed = 0;
    while let Some(status) = tasks.join_next().await {
        healed += usize::from(status.expect("no panic").is_success());
    }
    let renewals = source.calls() - 1;
    Table {
        name: "late-401s",
        title: "A thousand late 401s for one revoked token".to_owned(),
        about: "A thousand requests get a 401 for the same token at once. Peers cannot be told which token was refused, so that there is nothing to compare: \
                huskarl and azure_core drop whatever token they hold at each 401, and the others have to be told by the program or not at all.",
        columns: vec!["", "401s", "renewals", "requests that succeed"],
        rows: vec![vec![
            "keyfob, async".to_owned(),
            LATE.to_string(),
            renewals.to_string(),
            healed.to_string(),
        ]],
        measured: "",
        bars: Vec::new(),
        verdicts: vec![verdict("renewals", renewals as f64, 1.0, "")],
    }
}

const DELAY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);
const REPEATS: usize = 5;
const LATE: usize = 1_000;
