//! The course of a soak: starts the processes, kills some, starts others in their place, and counts.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use keyfob_testkit::Api;
use keyfob_testkit::RefreshTokens;
use keyfob_testkit::TokenAnswer;
use keyfob_testkit::TokenEndpoint;

use crate::herd::Herd;
use crate::options::Options;
use crate::redis_server::RedisServer;
use crate::shared::Errand;
use crate::shared::GRACE;
use crate::shared::Place;

pub(crate) fn run_all(options: &Options) -> ExitCode {
    println!(
        "{} processes, {} lifetimes of {:?}, one killed every {:?}",
        options.processes, options.lifetimes, options.lifetime, options.kill_every
    );
    let tallies: Vec<_> = options
        .stores
        .iter()
        .map(|store| run(store, options))
        .collect();
    print_table(&tallies);
    let faults: Vec<_> = tallies
        .iter()
        .flat_map(|tally| tally.faults(options))
        .collect();
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn run(store: &str, options: &Options) -> Tally {
    let scratch = tempfile::tempdir().unwrap();
    let server = (store == "redis").then(RedisServer::start);
    let place = match &server {
        Some(server) => Place::Redis {
            url: server.url(),
            authority: server.authority(),
        },
        None => Place::File(scratch.path().join("store")),
    };
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(options.lifetime);
    endpoint.set_refresh_tokens(RefreshTokens::Guarded { grace: GRACE });
    // The exchange has happened before its answer is sent: who is killed in between loses it.
    endpoint.always(TokenAnswer::token().after(ANSWER_TAKES));
    let api = Api::start(endpoint.issuer().clone());
    let errand = Errand {
        place: place.clone(),
        token_url: endpoint.url(),
        api_url: api.url(),
    };
    let mut herd = Herd::new(errand);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = place.store();
    let end = Instant::now() + options.lifetime * options.lifetimes;
    let mut holders = 0;
    for killing in 0.. {
        herd.fill(options.processes);
        if Instant::now() >= end {
            break;
        }
        // Every second one is whoever exchanges at that moment: chance would seldom meet it.
        let holder = (killing % 2 == 1)
            .then(|| runtime.block_on(herd.holder(&*store, options.kill_every)))
            .flatten();
        holders += usize::from(holder.is_some_and(|pid| herd.kill(pid)));
        thread::sleep(options.kill_every);
        if holder.is_none() {
            herd.kill_any();
        }
    }
    // Whatever is under way comes to its end.
    thread::sleep(options.lifetime);
    let failures = herd.end();
    Tally {
        store: match server {
            Some(_) => "redis",
            None => "file",
        },
        killed: herd.killed,
        holders,
        exchanges: endpoint.rotations(),
        repeats: endpoint.repeats(),
        reuses: endpoint.reuses(),
        requests: api.count(200) + api.count(401),
        rejected: api.count(401),
        failures,
    }
}

struct Tally {
    store: &'static str,
    killed: usize,
    holders: usize,
    exchanges: u64,
    repeats: u64,
    reuses: u64,
    requests: u64,
    rejected: u64,
    failures: Vec<String>,
}

impl Tally {
    /// What must not be.
    fn faults(&self, options: &Options) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |is_one: bool, text: String| {
            if is_one {
                faults.push(format!("{}: {text}", self.store));
            }
        };
        fault(
            self.reuses > 0,
            format!("{} refresh tokens were reused", self.reuses),
        );
        for failure in self.failures.iter().take(5) {
            fault(true, failure.clone());
        }
        // Renewed when a quarter to a third of the lifetime is left, and never by two.
        let most = u64::from(options.lifetimes + 1) * 2 + self.repeats;
        let least = u64::from(options.lifetimes) / 2;
        fault(
            !(least..=most).contains(&self.exchanges),
            format!(
                "{} exchanges are not between {least} and {most}",
                self.exchanges
            ),
        );
        fault(self.requests == 0, "nothing was requested".to_owned());
        faults
    }
}

type Figure = fn(&Tally) -> u64;

fn print_table(tallies: &[Tally]) {
    println!(
        "\n{:<36}{}",
        "store",
        row(tallies, |tally| tally.store.to_owned())
    );
    let lines: [(&str, Figure); 8] = [
        ("processes killed", |tally| tally.killed as u64),
        ("  in the middle of an exchange", |tally| {
            tally.holders as u64
        }),
        ("exchanges", |tally| tally.exchanges),
        ("exchanges repeated within the grace", |tally| tally.repeats),
        ("reuse detections", |tally| tally.reuses),
        ("requests", |tally| tally.requests),
        ("  answered 401 and healed", |tally| tally.rejected),
        ("requests failed by us", |tally| tally.failures.len() as u64),
    ];
    for (name, value) in lines {
        println!(
            "{name:<36}{}",
            row(tallies, |tally| value(tally).to_string())
        );
    }
}

fn row(tallies: &[Tally], cell: impl Fn(&Tally) -> String) -> String {
    tallies
        .iter()
        .map(|tally| format!("{:>10}", cell(tally)))
        .collect()
}

const ANSWER_TAKES: Duration = Duration::from_millis(100);
