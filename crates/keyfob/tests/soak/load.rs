//! Many tasks send many requests with tokens of a second to an API that fails in every way (T3, R4).
//!
//! No request may fail but those that the rules forbid to repeat, no expired token may arrive, and the memory must not grow.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use keyfob::Session;
use keyfob::oauth::{Client, ClientCredentials};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::load_server::{Addresses, BODY, Counts, Fault, is_post};

/// What a client did. A client in another language prints this as one line of JSON.
#[derive(Debug, Deserialize, Serialize)]
struct Report {
    requests: u64,
    /// Requests that failed although the rules allow a repetition, with the first reasons.
    failed: u64,
    reasons: Vec<String>,
    /// Requests that succeeded although their response was cut, or they were reset and must not be repeated.
    wrongly_ok: u64,
    /// The memory of the process in KiB, after a tenth of the requests and at the end.
    memory: [u64; 2],
}

/// Runs the client of this crate, or the program that comes after the argument `--client`.
///
/// `--requests 5000` before it changes the number of requests.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let (requests, arguments) = match arguments {
        [option, number, rest @ ..] if option == "--requests" => (number.parse().unwrap(), rest),
        all => (REQUESTS, all),
    };
    let start = Instant::now();
    let (server, mut lines) = start_server();
    let addresses: Addresses = next(&mut lines);
    let report = match arguments {
        [client, program @ ..] if client == "--client" => {
            run_program(program, &addresses, requests)
        }
        _ => run_client(&addresses, requests),
    };
    drop(server);
    let counts: Counts = next(&mut lines);
    println!("{report:#?}\n{counts:#?}\n{:?}", start.elapsed());
    let faults = faults(&report, &counts, requests);
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn faults(report: &Report, counts: &Counts, requests: u64) -> Vec<String> {
    let [before, after] = report.memory;
    let checks = [
        (report.requests != requests, "some requests were not sent"),
        (
            report.failed > 0,
            "requests failed that may be sent again (T3, R3, R4)",
        ),
        (
            report.wrongly_ok > 0,
            "requests were repeated, or cut bodies taken as whole (R4, R6)",
        ),
        (counts.expired > 0, "expired tokens arrived (T3)"),
        (
            counts.faults < requests / 50,
            "there were too few faults, so that nothing is proved",
        ),
        (
            counts.tokens < requests / 1000,
            "there were too few renewals, so that nothing is proved",
        ),
        (
            after * 10 > before * 12,
            "the memory grew by more than a fifth",
        ),
    ];
    let found = checks.iter().filter(|(is_fault, _)| *is_fault);
    found.map(|(_, text)| (*text).to_owned()).collect()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn run_client(addresses: &Addresses, requests: u64) -> Report {
    let client = Client::builder("load").token_endpoint(&addresses.token_url);
    let source = ClientCredentials::new(client.build().unwrap());
    let session = Session::new(&addresses.api_url, source).unwrap();
    let state = Arc::new(State {
        requests,
        ..State::default()
    });
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| tokio::spawn(work(session.clone(), Arc::clone(&state))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    Report {
        requests: state.done.load(Ordering::Relaxed),
        failed: state.failed.load(Ordering::Relaxed),
        reasons: state.reasons.lock().unwrap().clone(),
        wrongly_ok: state.wrongly_ok.load(Ordering::Relaxed),
        memory: [state.memory.load(Ordering::Relaxed), resident_memory()],
    }
}

#[derive(Default)]
struct State {
    /// How many are sent in all.
    requests: u64,
    begun: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    reasons: std::sync::Mutex<Vec<String>>,
    wrongly_ok: AtomicU64,
    memory: AtomicU64,
}

async fn work(session: Session, state: Arc<State>) {
    loop {
        let request = state.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if request > state.requests {
            return;
        }
        let outcome = send(&session, request).await;
        match (outcome, Fault::of(request).fails(request)) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => {
                state.wrongly_ok.fetch_add(1, Ordering::Relaxed);
            }
            (Err(reason), false) => {
                state.failed.fetch_add(1, Ordering::Relaxed);
                let mut reasons = state.reasons.lock().unwrap();
                if reasons.len() < 5 {
                    reasons.push(format!("{request}: {reason}"));
                }
            }
        }
        if state.done.fetch_add(1, Ordering::Relaxed) + 1 == state.requests / 10 {
            state.memory.store(resident_memory(), Ordering::Relaxed);
        }
    }
}

async fn send(session: &Session, request: u64) -> Result<(), String> {
    let path = format!("/{request}");
    let builder = match is_post(request) {
        true => session.post(&path).body("some content"),
        false => session.get(&path),
    };
    let response = builder.send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| error.to_string())?;
    match status.is_success() && body.len() == BODY {
        true => Ok(()),
        false => Err(format!("{status}, {} bytes", body.len())),
    }
}

fn run_program(program: &[String], addresses: &Addresses, requests: u64) -> Report {
    let [executable, arguments @ ..] = program else {
        panic!("--client needs a program");
    };
    let out = Command::new(executable)
        .args(arguments)
        .args([&addresses.token_url, &addresses.api_url])
        .args([requests.to_string(), TASKS.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout).expect("the report of the client")
}

/// The servers have a process of their own, so that their memory does not count.
fn start_server() -> (Server, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("load-server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (Server(child), lines)
}

/// Ends with its standard input.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
    }
}

fn next<T: DeserializeOwned>(lines: &mut impl BufRead) -> T {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

const REQUESTS: u64 = 100_000;
const TASKS: u64 = 64;
