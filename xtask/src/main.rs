//! Tasks of the workspace: `cargo xtask test`, `cargo xtask bench`, `cargo xtask picture` and `cargo xtask provider`.
//!
//! `test` is what continuous integration runs, and nothing else is; a gate is one entry of [`gates::ALL`].

mod bench;
mod debian;
mod figures;
mod gates;
mod install;
mod picture;
mod process;
mod python;
mod report;
mod servers;
mod version;

use std::env;
use std::process::ExitCode;

use crate::gates::Gate;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", "--list"] => {
            report::list(gates::ALL);
            ExitCode::SUCCESS
        }
        ["test", names @ ..] => match gates::named(names) {
            Ok(chosen) => test(&chosen),
            Err(unknown) => refuse(&unknown),
        },
        ["bench", "package"] => finish(python::measure()),
        ["bench", "startup"] => finish(process::run(&mut process::cargo([
            "bench",
            "--package=keyfob-cli",
            "--bench=startup",
        ]))),
        ["bench", questions @ ..] => finish(bench::measure(questions)),
        ["soak", options @ ..] => finish(gates::soak(options)),
        ["picture"] => finish(picture::draw()),
        ["provider"] => finish(servers::run_oidc_provider()),
        ["provider", "api"] => finish(servers::run_api()),
        _ => refuse(USAGE),
    }
}

/// Runs every chosen gate, also after a failure: the gates are independent, and whoever waited for one run
/// wants to know all that is wrong.
fn test(chosen: &[&'static Gate]) -> ExitCode {
    let missing = install::missing_after_installing(chosen.iter().flat_map(|gate| gate.needs));
    let verdicts: Vec<_> = chosen
        .iter()
        .map(|gate| report::timed(gate, || gate.judge(&missing)))
        .collect();
    report::summary(&verdicts)
}

fn finish(outcome: process::Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn refuse(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}

const USAGE: &str = "\
usage: cargo xtask test             run every gate
       cargo xtask test GATE...     run the named gates
       cargo xtask test --list      list the gates
       cargo xtask bench            side by side with the peers; writes docs/benchmarks.md
       cargo xtask bench QUESTION.. some questions alone
       cargo xtask bench package    the Python package alone, and its targets
       cargo xtask bench startup    a kept token, from the start of the program to its end
       cargo xtask soak [OPTION]    kill processes that share a refresh token, and count what comes of it
       cargo xtask picture          run the demo and draw docs/demo.svg
       cargo xtask provider         run the OAuth server of the tests, to try keyfob with
       cargo xtask provider api     run an API that takes its tokens";
