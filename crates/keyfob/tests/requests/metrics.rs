//! The metrics of a session that renews tokens, replays requests and retries.

use std::collections::BTreeMap;

use keyfob::{Error, Session, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::fixtures::{numbered, promptly, soon};

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
