//! Processes that share one rotating refresh token, none of which is killed: how many exchanges does the life of a token cost?
//!
//! `cargo xtask bench fleet` runs it, and puts the results on the page of benchmarks.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use keyfob_testkit::{Api, RefreshTokens, TokenEndpoint, TokenResponse};
use serde::Serialize;

use crate::options::Options;
use crate::redis_server::certify;
use crate::server::Server;
use crate::setup::{GRACE, Instructions};
use crate::workers::Workers;

/// What one fleet did.
#[derive(Debug, Serialize)]
struct Fleet {
    store: String,
    processes: usize,
    /// How many tokens were in use, one after the other.
    lives: usize,
    exchanges: usize,
    requests: u64,
    /// Requests that failed, and processes without a token at the end.
    failed: usize,
}

/// Runs a fleet of each size with each store, and writes the results to the file that the variable names, if it does.
pub(crate) fn run_all(options: &Options) -> ExitCode {
    let mut fleets = Vec::new();
    for store in &options.stores {
        for processes in SIZES {
            let fleet = run(store, processes, options);
            println!("{fleet:?}");
            fleets.push(fleet);
        }
    }
    if let Some(file) = std::env::var_os("KEYFOB_FLEET_RESULTS") {
        std::fs::write(file, serde_json::to_vec(&fleets).unwrap()).unwrap();
    }
    let is_kept = |fleet: &Fleet| {
        fleet.exchanges == fleet.lives && fleet.failed == 0 && fleet.lives > 1 && fleet.requests > 0
    };
    match fleets.iter().all(is_kept) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn run(store: &str, processes: usize, options: &Options) -> Fleet {
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(store);
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(options.lifetime);
    endpoint.set_refresh_tokens(RefreshTokens::DetectsReuse { grace: GRACE });
    endpoint.always(TokenResponse::token().after(RESPONSE_TAKES));
    let api = Api::start(endpoint.issuer().clone());
    let instructions = Instructions {
        location: server.location(scratch.path()),
        token_url: endpoint.url(),
        api_url: api.url(),
    };
    certify(scratch.path());
    let mut workers = Workers::new(instructions, scratch.path().join("ca.pem"));
    workers.fill(processes);
    let mut exchanges = Vec::new();
    let end = Instant::now() + options.lifetime * options.lifetimes;
    while Instant::now() < end {
        thread::sleep(CHECK_INTERVAL);
        exchanges.resize(endpoint.rotations() as usize, Instant::now());
    }
    let unserved = processes - workers.settle();
    exchanges.resize(endpoint.rotations() as usize, Instant::now());
    Fleet {
        store: store.to_owned(),
        processes,
        lives: lives(&exchanges, options.lifetime),
        exchanges: exchanges.len(),
        requests: api.count(200),
        failed: unserved + workers.end().len(),
    }
}

/// How many tokens were in use one after the other. No process needs another one in the first half of a token's life.
fn lives(exchanges: &[Instant], lifetime: Duration) -> usize {
    let (mut lives, mut last) = (0, None);
    for &exchange in exchanges {
        if last.is_none_or(|last| exchange - last >= lifetime / 2) {
            lives += 1;
            last = Some(exchange);
        }
    }
    lives
}

const SIZES: [usize; 3] = [1, 10, 50];
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// Long enough for all processes to find that a token is needed, and that the lease is held.
const RESPONSE_TAKES: Duration = Duration::from_millis(200);
