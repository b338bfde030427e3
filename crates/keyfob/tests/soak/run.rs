//! One run of the soak: it starts processes, kills some, replaces them, and counts.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use keyfob_testkit::{Api, RefreshTokens, TokenEndpoint};

use crate::held_responses::{HeldResponses, Losses};
use crate::options::{Options, most_exchanges};
use crate::redis_server::certify;
use crate::server::Server;
use crate::setup::{GRACE, Instructions};
use crate::workers::Workers;

pub(crate) fn run_all(options: &Options) -> ExitCode {
    println!(
        "{} processes, {} lifetimes of {:?}, one killed every {:?}, and some that exchange",
        options.processes, options.lifetimes, options.lifetime, options.kill_every
    );
    let tallies: Vec<_> = options
        .stores
        .iter()
        .map(|store| run(store, options))
        .collect();
    print_table(&tallies);
    let faults: Vec<_> = tallies.iter().flat_map(Tally::faults).collect();
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
    let name = store;
    let server = Server::start(name);
    let leases_expire = server.has_leases_that_expire();
    let losses = server.losses();
    let location = server.location(scratch.path());
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(options.lifetime);
    endpoint.set_refresh_tokens(RefreshTokens::DetectsReuse { grace: GRACE });
    let api = Api::start(endpoint.issuer().clone());
    let instructions = Instructions {
        location: location.clone(),
        token_url: endpoint.url(),
        api_url: api.url(),
    };
    let times = most_exchanges(options.lifetimes_at_most());
    let mut held_responses = HeldResponses::prepare(&endpoint, times, losses);
    certify(scratch.path());
    let mut workers = Workers::new(instructions, scratch.path().join("ca.pem"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = location.store();
    let start = Instant::now();
    let (mut held, mut by_chance) = (0, 0);
    let mut next = start + options.kill_every;
    let server_faults = server.fail_every(options.server_fault_every);
    let mut lifetimes = options.lifetimes;
    while start.elapsed() < options.lifetime * lifetimes {
        workers.fill(options.processes);
        thread::sleep(CHECK_INTERVAL);
        let kill = |pid| workers.kill(pid);
        held += u64::from(runtime.block_on(held_responses.kill_one(&*store, kill)));
        if Instant::now() >= next {
            by_chance += u64::from(runtime.block_on(workers.kill_any(&*store)));
            next = Instant::now() + options.kill_every;
        }
        // On a loaded machine, no process may have been killed at a held response yet.
        let is_over = start.elapsed() >= options.lifetime * lifetimes;
        if is_over && held == 0 && lifetimes < options.lifetimes_at_most() {
            lifetimes += 1;
        }
    }
    // From here on no response is held back, and all exchanges end.
    drop(held_responses);
    let (_server, server_faults, longest_fault) = server_faults.end();
    workers.fill(options.processes);
    thread::sleep(options.lifetime);
    let served = workers.settle();
    Tally {
        store: name.to_owned(),
        leases_expire,
        server_faults,
        longest_fault,
        lifetimes,
        killed: workers.killed,
        held,
        by_chance,
        unserved: options.processes - served,
        exchanges: endpoint.rotations(),
        repeats: endpoint.repeats(),
        losses: endpoint.losses(),
        lost_on_purpose: losses,
        reuses: endpoint.reuses(),
        requests: api.count(200) + api.count(401),
        rejected: api.count(401),
        // After the counts, because a process that ends during an exchange causes a repetition.
        failures: workers.end(),
    }
}

struct Tally {
    store: String,
    leases_expire: bool,
    /// How often the server was killed.
    server_faults: u64,
    /// How long it took at most until all servers were as before.
    longest_fault: Duration,
    lifetimes: u32,
    killed: usize,
    /// Processes killed while their responses were held back.
    held: u64,
    /// Processes killed during an exchange by chance. Their requests may not have been sent yet.
    by_chance: u64,
    /// Processes without a token at the end.
    unserved: usize,
    exchanges: u64,
    repeats: u64,
    /// Responses that were cut, or replaced by a gateway.
    losses: u64,
    lost_on_purpose: Losses,
    reuses: u64,
    requests: u64,
    rejected: u64,
    failures: Vec<String>,
}

impl Tally {
    fn killed_in_exchange(&self) -> u64 {
        self.held + self.by_chance
    }

    /// What failed.
    fn faults(&self) -> Vec<String> {
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
        fault(
            self.unserved > 0,
            format!("{} processes had no token at the end", self.unserved),
        );
        fault(
            self.held == 0,
            "no process was killed in the middle of an exchange, so that nothing is proved"
                .to_owned(),
        );
        fault(
            self.losses == 0 && self.lost_on_purpose == Losses::Some,
            "no response was lost, so that nothing is proved".to_owned(),
        );
        // Each killed process and each lost response causes a repetition. If leases can expire, a process that was stopped
        // for long does too.
        let least = self.held + self.losses;
        let most = self.killed_in_exchange() + self.losses;
        let allowed = match self.leases_expire {
            true => least..=u64::MAX,
            false => least..=most,
        };
        fault(
            !allowed.contains(&self.repeats),
            format!(
                "{} exchanges were repeated, after {least} to {most} were not finished",
                self.repeats
            ),
        );
        let most = u64::from(most_exchanges(self.lifetimes)) + self.repeats;
        let least = u64::from(self.lifetimes) / 2;
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
        row(tallies, |tally| tally.store.clone())
    );
    let lines: [(&str, Figure); 11] = [
        ("processes killed", |tally| tally.killed as u64),
        ("  in the middle of an exchange", Tally::killed_in_exchange),
        ("servers killed", |tally| tally.server_faults),
        ("  longest time until all run, in ms", |tally| {
            tally.longest_fault.as_millis() as u64
        }),
        ("exchanges", |tally| tally.exchanges),
        ("  whose response was lost", |tally| tally.losses),
        ("exchanges repeated within the grace", |tally| tally.repeats),
        ("reuse detections", |tally| tally.reuses),
        ("requests", |tally| tally.requests),
        ("  rejected with 401, replayed", |tally| tally.rejected),
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
        .map(|tally| format!("{:>15}", cell(tally)))
        .collect()
}

/// How often the run checks whether a response is held back.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
