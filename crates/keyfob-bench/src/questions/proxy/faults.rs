//! A million requests while the issuer fails, tokens are revoked and connections break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server};
use serde_json::json;
use tokio::runtime::Handle;

use crate::questions::proxy::load::Client;
use crate::questions::proxy::setup::Setup;
use crate::table::{Table, verdict};

pub fn ask(setup: &Setup, runtime: &Handle) -> Table {
    let seen = Arc::new(Seen::default());
    let (issuer, api) = (issuer(&seen), api(&seen));
    let source = format!(
        "[profiles.bench.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"bench\"\nclient_secret = \"env:KEYFOB_BENCH_TOKEN\"",
        issuer.url_for("/token")
    );
    let (_process, client) = setup.keyfob(api.address(), &source);
    let workers = (0..IN_FLIGHT).map(|_| statuses(client.clone(), REQUESTS / IN_FLIGHT));
    let statuses = runtime.block_on(join_all(workers.map(|worker| runtime.spawn(worker))));
    let (mut fine, mut refused, mut passed_on) = (0, 0, 0);
    for status in statuses.into_iter().flat_map(|all| all.expect("no panic")) {
        match status {
            StatusCode::OK => fine += 1,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            _ => passed_on += 1,
        }
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (bare, expired) = (count(&seen.bare), count(&seen.expired));
    let rows = [
        ("requests", fine + refused + passed_on),
        ("response 200", fine),
        ("response 502 or 503, of the proxy or the API", refused),
        ("another response of the API, passed on", passed_on),
        (
            "token requests, of which a third failed",
            count(&seen.tokens),
        ),
        ("requests that reached the API", count(&seen.requests)),
        ("tokens that the API revoked", count(&seen.revoked)),
        ("connections that the API reset", count(&seen.resets)),
        (
            "**requests without a credential that reached the API**",
            bare,
        ),
        ("**expired tokens that reached the API**", expired),
    ];
    Table {
        name: "proxy-faults",
        title: "A million requests with faults".to_owned(),
        about: "GET requests through `keyfob proxy`, 64 in flight. Tokens are valid for 3 s. The issuer fails for 1 s of each \
                3 s. The API revokes the current token each 5 s, resets each 400th connection, and responds to each 300th \
                request with 503. A token counts as expired if it arrives 100 ms after its end or later.",
        columns: vec!["", "count"],
        rows: rows
            .map(|(name, count)| vec![name.to_owned(), count.to_string()])
            .into(),
        measured: "",
        bars: Vec::new(),
        verdicts: vec![
            verdict("Requests without a credential", bare as f64, 0.0, ""),
            verdict("Expired tokens", expired as f64, 0.0, ""),
        ],
    }
}

/// What reached the issuer and the API. A token's text is the time at which it expires, in µs since `start`.
struct Seen {
    start: Instant,
    tokens: AtomicU64,
    requests: AtomicU64,
    bare: AtomicU64,
    expired: AtomicU64,
    resets: AtomicU64,
    revoked: AtomicU64,
    /// Tokens that expire until then are revoked.
    revoked_until: AtomicU64,
    period: AtomicU64,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            tokens: AtomicU64::default(),
            requests: AtomicU64::default(),
            bare: AtomicU64::default(),
            expired: AtomicU64::default(),
            resets: AtomicU64::default(),
            revoked: AtomicU64::default(),
            revoked_until: AtomicU64::default(),
            period: AtomicU64::default(),
        }
    }
}

impl Seen {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).expect("a short run")
    }

    fn issue(&self) -> ScriptedResponse {
        self.tokens.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        if now / 1_000_000 % 3 == 1 {
            return match now % 3 {
                0 => ScriptedResponse::unavailable(),
                1 => ScriptedResponse::reset(),
                _ => ScriptedResponse::garbage(),
            };
        }
        let token = (now + LIFETIME * 1_000_000).to_string();
        ScriptedResponse::json(
            json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME}),
        )
    }

    fn respond(&self, received: &Received) -> ScriptedResponse {
        let place = self.requests.fetch_add(1, Ordering::Relaxed);
        let Some(token) = received
            .bearer()
            .and_then(|token| token.parse::<u64>().ok())
        else {
            self.bare.fetch_add(1, Ordering::Relaxed);
            return ScriptedResponse::unauthorized("Bearer");
        };
        let now = self.now();
        // One that was sent in its last moment may arrive after it: this machine is busy.
        if now >= token + TRANSIT {
            self.expired.fetch_add(1, Ordering::Relaxed);
        }
        let period = now / REVOKED_EVERY;
        if self.period.fetch_max(period, Ordering::Relaxed) < period {
            self.revoked.fetch_add(1, Ordering::Relaxed);
            self.revoked_until.fetch_max(token, Ordering::Relaxed);
        }
        if token <= self.revoked_until.load(Ordering::Relaxed) {
            return ScriptedResponse::unauthorized(r#"Bearer error="invalid_token""#);
        }
        if place % 400 == 1 {
            self.resets.fetch_add(1, Ordering::Relaxed);
            return ScriptedResponse::reset();
        }
        match place % 300 {
            2 => ScriptedResponse::unavailable(),
            _ => ScriptedResponse::json(json!({"value": 42})),
        }
    }
}

fn issuer(seen: &Arc<Seen>) -> Server {
    let seen = Arc::clone(seen);
    let server = Server::builder().request_limit(0).start();
    server.expect(Expect::any().respond_with(move |_| seen.issue()));
    server
}

fn api(seen: &Arc<Seen>) -> Server {
    let seen = Arc::clone(seen);
    let server = Server::builder().request_limit(0).start();
    server.expect(Expect::any().respond_with(move |received| seen.respond(received)));
    server
}

/// The responses to this many requests on one connection after another.
async fn statuses(client: Client, requests: usize) -> Vec<StatusCode> {
    let mut connection = client.connect().await;
    let mut statuses = Vec::with_capacity(requests);
    for _ in 0..requests {
        let sent = tokio::time::timeout(PATIENCE, connection.try_send(client.request()));
        match sent.await.expect("a response in time") {
            Some(status) => statuses.push(status),
            None => {
                // The proxy closed the connection, because the API's response broke off.
                statuses.push(StatusCode::BAD_GATEWAY);
                connection = client.connect().await;
            }
        }
    }
    statuses
}

const REQUESTS: usize = 1_000_000;
const IN_FLIGHT: usize = 64;
/// In seconds.
const LIFETIME: u64 = 3;
/// In µs, as the next.
const TRANSIT: u64 = 100_000;
const REVOKED_EVERY: u64 = 5_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
