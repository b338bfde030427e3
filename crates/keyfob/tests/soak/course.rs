//! The course of a soak: starts the processes, kills some, starts others in their place, and counts.

use std::collections::HashMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use keyfob::TokenStore;
use keyfob_testkit::Api;
use keyfob_testkit::RefreshTokens;
use keyfob_testkit::TokenAnswer;
use keyfob_testkit::TokenEndpoint;

use crate::options::Options;
use crate::redis_server::RedisServer;
use crate::shared::Errand;
use crate::shared::GRACE;
use crate::shared::Place;
use crate::shared::key;

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

/// The processes that run.
struct Herd {
    errand: Errand,
    running: HashMap<u32, Child>,
    killed: usize,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Herd {
    fn new(errand: Errand) -> Self {
        Self {
            errand,
            running: HashMap::new(),
            killed: 0,
            failures: Arc::default(),
        }
    }

    fn fill(&mut self, processes: usize) {
        while self.running.len() < processes {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut errand = serde_json::to_vec(&self.errand).unwrap();
            errand.push(b'\n');
            child.stdin.as_mut().unwrap().write_all(&errand).unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let failures = Arc::clone(&self.failures);
            thread::spawn(move || {
                let lines = out.lines().map_while(Result::ok);
                lines.for_each(|line| failures.lock().unwrap().push(line));
            });
            self.running.insert(child.id(), child);
        }
    }

    /// The process that exchanges, as soon as there is one.
    ///
    /// One that repeats the exchange of a killed one is spared: who is killed there, too, makes a sign-in necessary.
    async fn holder(&self, store: &dyn TokenStore, patience: Duration) -> Option<u32> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let kept = store.load(&key()).await.ok().flatten();
            let begun = kept.and_then(|kept| kept.entry.begun().cloned());
            let first = begun.filter(|begun| begun.attempts() == 1);
            let pid = first.and_then(|begun| begun.by().split(' ').nth(1)?.parse().ok());
            if let Some(pid) = pid.filter(|pid| self.running.contains_key(pid)) {
                return Some(pid);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    fn kill_any(&mut self) {
        let pids: Vec<_> = self.running.keys().copied().collect();
        self.kill(pids[fastrand::usize(..pids.len())]);
    }

    /// With SIGKILL, so that nothing of it runs any more; says whether it was there.
    fn kill(&mut self, pid: u32) -> bool {
        let Some(mut child) = self.running.remove(&pid) else {
            return false;
        };
        child.kill().unwrap();
        child.wait().unwrap();
        self.killed += 1;
        true
    }

    /// Ends all, and says what failed in any of them.
    fn end(&mut self) -> Vec<String> {
        for (_, mut child) in self.running.drain() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        self.failures.lock().unwrap().clone()
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
