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
    let ours = Run::new(LIFETIME);
    let source = format!(
        "[profiles.bench.token]\ngrant = \"client_credentials\"\ntoken_endpoint = \"{}\"\nclient_id = \"bench\"\nclient_secret = \"env:KEYFOB_BENCH_TOKEN\"",
        ours.issuer.url_for("/token")
    );
    let (process, client) = setup.keyfob(ours.api.address(), &source);
    let counts = ours.counts(runtime, &client, REQUESTS);
    drop(process);
    let theirs = Run::new(LIFETIME + NONO_MARGIN);
    let nono = setup.nono(theirs.api.address(), &theirs.issuer.url_for("/token"));
    let others = nono.map(|(_process, client)| theirs.counts(runtime, &client, REQUESTS_OF_NONO));
    let mut columns = vec!["", "keyfob proxy"];
    columns.extend(others.is_some().then_some("nono"));
    let rows = COUNTED.iter().enumerate().map(|(place, name)| {
        let mut row = vec![(*name).to_owned(), counts[place].to_string()];
        row.extend(others.map(|others| others[place].to_string()));
        row
    });
    let [.., bare, expired] = counts;
    Table {
        name: "proxy-faults",
        title: "A million requests with faults".to_owned(),
        about: "GET requests through `keyfob proxy`, 64 in flight. Tokens are valid for 3 s. The issuer fails for 1 s of each \
                3 s. The API revokes the current token each 5 s, resets each 400th connection, and responds to each 300th \
                request with 503. A token counts as expired if it arrives 100 ms after its end or later. nono-proxy 0.53.0 \
                gets the same faults and 50,000 requests, because it opens a connection for each. It renews a token 30 s \
                before its end, whatever its lifetime is, so its tokens are valid for 33 s.",
        columns,
        rows: rows.collect(),
        measured: "",
        bars: Vec::new(),
        verdicts: vec![
            verdict("Requests without a credential", bare as f64, 0.0, ""),
            verdict("Expired tokens", expired as f64, 0.0, ""),
        ],
    }
}

const COUNTED: [&str; 10] = [
    "requests",
    "response 200",
    "response 502 or 503, of the proxy or the API",
    "another response of the API, passed on",
    "token requests, of which a third failed",
    "requests that reached the API",
    "tokens that the API revoked",
    "connections that the API reset",
    "**requests without a credential that reached the API**",
    "**expired tokens that reached the API**",
];

/// The servers of one proxy, and what they saw.
struct Run {
    seen: Arc<Seen>,
    issuer: Server,
    api: Server,
}

impl Run {
    fn new(lifetime: u64) -> Self {
        let seen = Arc::new(Seen::new(lifetime));
        Self {
            issuer: issuer(&seen),
            api: api(&seen),
            seen,
        }
    }

    /// What became of this many requests, in the order of [`COUNTED`].
    fn counts(&self, runtime: &Handle, client: &Client, requests: usize) -> [u64; 10] {
        let workers = (0..IN_FLIGHT).map(|_| statuses(client.clone(), requests / IN_FLIGHT));
        let statuses = runtime.block_on(join_all(workers.map(|worker| runtime.spawn(worker))));
        let (mut fine, mut refused, mut passed_on) = (0, 0, 0);
        for status in statuses.into_iter().flat_map(|all| all.expect("no panic")) {
            match status {
                StatusCode::OK => fine += 1,
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => refused += 1,
                _ => passed_on += 1,
            }
        }
        let seen = &self.seen;
        let [tokens, requests, revoked, resets, bare, expired] = [
            &seen.tokens,
            &seen.requests,
            &seen.revoked,
            &seen.resets,
            &seen.bare,
            &seen.expired,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        [
            fine + refused + passed_on,
            fine,
            refused,
            passed_on,
            tokens,
            requests,
            revoked,
            resets,
            bare,
            expired,
        ]
    }
}

/// What reached the issuer and the API. A token's text is the time at which it expires, in µs since `start`.
struct Seen {
    start: Instant,
    /// That of a token, in seconds.
    lifetime: u64,
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

impl Seen {
    fn new(lifetime: u64) -> Self {
        Self {
            start: Instant::now(),
            lifetime,
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
        let token = (now + self.lifetime * 1_000_000).to_string();
        ScriptedResponse::json(
            json!({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}),
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
    for place in 0..requests {
        if client.connects_anew && place > 0 {
            connection = client.connect().await;
        }
        let sent = tokio::time::timeout(PATIENCE, connection.try_send(client.request()));
        match sent.await.expect("a response in time") {
            Some(status) => statuses.push(status),
            None if client.connects_anew => statuses.push(StatusCode::BAD_GATEWAY),
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
const REQUESTS_OF_NONO: usize = 50_000;
const IN_FLIGHT: usize = 64;
/// In seconds, as the next.
const LIFETIME: u64 = 3;
const NONO_MARGIN: u64 = 30;
/// In µs, as the next.
const TRANSIT: u64 = 100_000;
const REVOKED_EVERY: u64 = 5_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
