//! How long does a request take longer through the proxy, also while tokens expire?

use std::time::Duration;

use keyfob_testkit::{TokenEndpoint, TokenResponse};
use tokio::runtime::Handle;

use crate::chart::Bar;
use crate::figure::time;
use crate::measure::{median, percentile};
use crate::questions::proxy::load::Client;
use crate::questions::proxy::setup::Setup;
use crate::table::{Table, verdict};

pub fn ask(setup: &Setup, runtime: &Handle) -> Table {
    let (issuer, source) = expiring();
    let upstream = setup.upstream();
    let (_nginx, nginx) = setup.nginx(upstream.address);
    let (_keyfob, keyfob) = setup.keyfob(upstream.address, &source);
    let ways = [
        ("no proxy", Setup::direct(upstream.address)),
        ("nginx, a fixed header", nginx),
        ("keyfob proxy", keyfob),
    ];
    let mut times: Vec<Vec<[f64; 2]>> = vec![Vec::new(); ways.len()];
    for round in 0..=ROUNDS {
        for ((_, client), times) in ways.iter().zip(&mut times) {
            let measured = runtime.block_on(percentiles(client));
            if round > 0 {
                times.push(measured);
            }
        }
    }
    let calls = issuer.calls();
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for ((name, _), measured) in ways.iter().zip(&times) {
        let [middle, tail] = [0, 1].map(|place| added(measured, &times[0], place));
        let [absolute, worst] = [0, 1].map(|place| median_of(measured, place));
        rows.push(vec![
            (*name).to_owned(),
            time(absolute),
            time(worst),
            time(middle.max(0.0)),
            time(tail.max(0.0)),
        ]);
        bars.push(Bar::new(*name, worst * 1e6, name.starts_with("keyfob")).labelled(time(worst)));
    }
    let ours = &times[2];
    Table {
        name: "proxy-latency",
        title: format!("Through the proxy while tokens expire ({calls} tokens)"),
        about: "2,000 requests a second over 32 connections, 10 s at a time. Tokens are valid for 3 s, and the issuer takes \
                100 ms for each. nginx has a fixed header and renews nothing. *Added* is the difference to requests \
                without a proxy, in the same round; medians of rounds that alternate. A request that was held up by the \
                one before it counts from the moment at which it was due.",
        columns: vec!["", "p50", "p99.9", "added p50", "added p99.9"],
        rows,
        measured: "p99.9, in µs",
        bars,
        verdicts: vec![
            verdict("Added p50", added(ours, &times[0], 0) * 1e6, 100.0, " µs"),
            verdict("Added p99.9", added(ours, &times[0], 1) * 1e3, 1.0, " ms"),
        ],
    }
}

/// An issuer whose tokens are valid for 3 s and take 100 ms, and the source of a profile that asks it.
pub fn expiring() -> (TokenEndpoint, String) {
    let issuer = TokenEndpoint::start();
    issuer.issuer().set_lifetime(LIFETIME);
    issuer.always(TokenResponse::token().after(FETCH));
    let source = format!(
        "[profiles.bench.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"bench\"\nclient_secret = \"env:KEYFOB_BENCH_TOKEN\"",
        issuer.url()
    );
    (issuer, source)
}

async fn percentiles(client: &Client) -> [f64; 2] {
    // The token of the round before has expired meanwhile, and the first fetch belongs to no round.
    client.send(1, 1).await;
    let mut times = client.send_at(2_000, TIME).await;
    [0.5, 0.999].map(|share| percentile(&mut times, share).as_secs_f64())
}

/// The median of what these rounds took longer than those without a proxy.
fn added(times: &[[f64; 2]], direct: &[[f64; 2]], place: usize) -> f64 {
    let differences = times.iter().zip(direct);
    let mut differences: Vec<f64> = differences.map(|(a, b)| a[place] - b[place]).collect();
    median(&mut differences)
}

fn median_of(times: &[[f64; 2]], place: usize) -> f64 {
    median(&mut times.iter().map(|time| time[place]).collect::<Vec<_>>())
}

const LIFETIME: Duration = Duration::from_secs(3);
const FETCH: Duration = Duration::from_millis(100);
const TIME: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5;
