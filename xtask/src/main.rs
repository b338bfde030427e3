//! Tasks of the workspace: `cargo xtask test`, `install`, `docs`, `bench`, `torture`, `soak`, `fuzz`, `dist`, `unsafe`, `picture` and `provider`.
//!
//! Continuous integration runs `cargo xtask test` and nothing else. A gate is one entry of [`gates::ALL`].

mod bench;
mod beside;
mod debian;
mod dist;
mod figures;
mod fuzz;
mod gates;
mod install;
mod picture;
mod process;
mod python;
mod report;
mod servers;
mod site;
mod soak;
mod tutorial;
mod version;

use std::env;
use std::process::ExitCode;

use crate::beside::{Beside, Installation};
use crate::gates::Turn;
use crate::install::Missing;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["test", "--list"] => {
            report::list(gates::ALL);
            ExitCode::SUCCESS
        }
        ["test", "--no-install", names @ ..] => test(names, Missing::Skip),
        ["test", names @ ..] => test(names, Missing::Install),
        ["install", names @ ..] => finish(install(names)),
        ["docs"] => finish(site::install_and_build()),
        ["bench", "package"] => finish(python::measure()),
        ["bench", "startup"] => finish(process::run(&mut process::cargo([
            "bench",
            "--package=keyfob-cli",
            "--bench=startup",
        ]))),
        ["bench", questions @ ..] => finish(bench::measure(questions)),
        ["torture"] => finish(bench::torture()),
        ["soak", "requests"] => finish(soak::requests()),
        ["soak", options @ ..] => finish(soak::long(options)),
        ["fuzz", arguments @ ..] => finish(fuzz::fuzz(arguments)),
        ["dist"] => finish(dist::make()),
        ["dist", "--compare"] => finish(dist::compare()),
        ["semver"] => finish(dist::published::compare_with_last_release()),
        ["unsafe"] => finish(dist::unsafe_code::report()),
        ["picture"] => finish(picture::draw()),
        ["provider"] => finish(servers::run_oidc_provider()),
        ["provider", "api"] => finish(servers::run_api()),
        _ => refuse(USAGE),
    }
}

/// Runs every chosen gate, also after a failure: the gates are independent, and one run should show everything that is wrong.
fn test(names: &[&str], missing: Missing) -> ExitCode {
    let chosen = match gates::named(names) {
        Ok(chosen) => chosen,
        Err(unknown) => return refuse(&unknown),
    };
    let needs = || chosen.iter().flat_map(|gate| gate.needs);
    let mut absent = install::absent(needs(), missing);
    // It runs beside the gates that need nothing of it, which come first.
    let mut installation =
        (missing == Missing::Install && !absent.is_empty()).then(|| Installation::start(&chosen));
    let (mut verdicts, mut running) = (Vec::new(), Vec::new());
    for gate in &chosen {
        if gate.missing(&absent).is_some()
            && let Some(installation) = installation.take()
        {
            installation.finish();
            // Whatever failed is tried once more, which says why.
            absent = install::provide(needs());
        }
        let runs_beside = gate.turn == Turn::Beside && chosen.len() > 1;
        if runs_beside && gate.missing(&absent).is_none() {
            running.push(Beside::start(gate));
        } else {
            verdicts.push(report::timed(gate, || gate.judge(&absent, missing)));
        }
    }
    verdicts.extend(running.into_iter().map(Beside::finish));
    report::summary(&verdicts)
}

/// Installs what the chosen gates need, and runs none.
fn install(names: &[&str]) -> process::Outcome {
    let chosen = gates::named(names)?;
    let absent = install::provide(chosen.iter().flat_map(|gate| gate.needs));
    let reasons: Vec<_> = absent.into_values().collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(reasons.join("\n")),
    }
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
usage: cargo xtask test [--no-install] [GATE...]
                                    run every gate, or the named ones; first install what they need,
                                    or with --no-install run what can be run without
       cargo xtask test --list      list the gates
       cargo xtask install [GATE]   install what the gates need, and run none
       cargo xtask docs             make the site of the documentation in target/site, and check its links
       cargo xtask bench            compare keyfob with other libraries; writes docs/benchmarks.md
       cargo xtask bench QUESTION.. only some of the questions; with `--page` their sections of the page are replaced
       cargo xtask bench package    only the Python package, against its goals
       cargo xtask bench startup    `keyfob token` with a stored token, from start to end
       cargo xtask torture          do the same harm to keyfob and to other Python libraries; writes
                                    docs/explanation/faults.md
       cargo xtask soak [OPTION]    kill processes that share a refresh token, and count the losses; `--file`,
                                    `--redis`, `--redis-cluster`, `--redis-sentinel` and `--postgres` choose the stores
       cargo xtask soak requests    send 100,000 requests to an API that fails, from Rust and from Python
       cargo xtask fuzz [TARGET] [--minutes N]
                                    search for bytes that break a parser: one target, or each one for this long
       cargo xtask dist             make programs, packages, an image and a Python wheel in target/dist
       cargo xtask dist --compare   make them again in another folder, and compare each byte
       cargo xtask semver           compare the libraries with the newest tag, if there is one
       cargo xtask unsafe           count `unsafe` in the crates of the program; writes docs/reference/unsafe-code.md
       cargo xtask picture          draw docs/demo.svg from a run of the demo, and docs/architecture.svg
       cargo xtask provider         run the OAuth server of the tests, to try keyfob with it
       cargo xtask provider api     run an API that accepts its tokens";
