//! The metrics of a session that renews tokens, replays requests and retries.

use std::collections::BTreeMap;

use keyfob::{Error, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::captured_log::{Capture, lines};
use crate::fixtures::{SECOND, numbered, promptly, soon};

#[test]
fn s1_metrics_count_each_event_and_name_no_token() {
    let server = Server::start();
    server
        .expect(
            Expect::get("/data")
                .bearer("token-1")
                .respond(ScriptedResponse::unavailable()),
        )
        .expect(
            Expect::get("/data")
                .bearer("token-1")
                .respond(ScriptedResponse::unauthorized("Bearer")),
        )
        .expect(
            Expect::get("/data")
                .bearer("token-2")
                .respond(ScriptedResponse::status(200)),
        );

    let figures = figures_of(async {
        let (hook, _) = numbered();
        let tokens = TokenCache::builder(hook).clock(ManualClock::default());
        let session = Session::builder(tokens.build().unwrap())
            .base_url(server.url())
            .retry(promptly())
            .build()
            .unwrap();
        soon(session.get("data").send()).await.unwrap();

        let refusing = TokenCache::new(keyfob::hook(|_| async {
            Err::<String, _>(Error::refused("no"))
        }));
        soon(refusing.authenticate()).await.unwrap_err();
    });

    assert_eq!(
        figures,
        BTreeMap::from([
            ("keyfob_renewals_total missing".to_owned(), 1),
            ("keyfob_renewals_total rejected".to_owned(), 1),
            ("keyfob_renewal_failures_total refused".to_owned(), 1),
            ("keyfob_retries_total status".to_owned(), 1),
            ("keyfob_replays_total".to_owned(), 1),
            ("keyfob_token_age_seconds".to_owned(), 3),
        ])
    );
    server.verify();
}

#[test]
fn an_outage_logs_one_event_a_minute_and_the_metrics_count_all() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::unauthorized("Bearer"))
            .times(60),
    );
    let clock = ManualClock::default();
    let first = Token::new("t0ken").map(|token| token.expires_in(600 * SECOND));
    // It is remembered, so that the source is called once.
    let refusal = Err(Error::refused("the account of this test is closed"));
    let source = ScriptedSource::new([first, refusal]);
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::builder(tokens).base_url(server.url());
    let session = session.retry(promptly()).build().unwrap();
    let figures = tracing::subscriber::with_default(Capture, || {
        figures_of(async {
            for requests in [50, 10] {
                for _ in 0..requests {
                    let response = soon(session.get("data").send()).await.unwrap();
                    assert_eq!(response.status(), 401);
                }
                clock.advance(60 * SECOND);
            }
        })
    });
    assert_eq!(figures["keyfob_replacement_failures_total refused"], 60);
    let lines = lines();
    let events = lines.iter().filter(|line| {
        line.contains("token was rejected and could not be replaced")
            && line.contains("the account of this test is closed")
    });
    let [first, second] = events.collect::<Vec<_>>()[..] else {
        panic!("{lines:#?}");
    };
    assert!(!first.contains("left_out"), "{first}");
    assert!(second.contains("left_out=49"), "{second}");
}

/// Each metric with its labels: the value of a counter, or the number of measurements of a histogram.
fn figures_of(work: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));

    let figures = snapshotter.snapshot().into_vec().into_iter();
    let figure = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let key = key.key();
        let labels = key.labels().map(|label| label.value());
        let name = std::iter::once(key.name())
            .chain(labels)
            .collect::<Vec<_>>()
            .join(" ");
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => panic!("{name} is a gauge"),
        };
        (name, count)
    };
    figures.map(figure).collect()
}
