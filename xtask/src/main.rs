//! Tasks of the workspace: `cargo xtask test`, `cargo xtask bench`, `cargo xtask picture` and `cargo xtask provider`.
//!
//! `test` is what continuous integration runs, and nothing else is; a gate is one entry of [`gates::ALL`].

mod figures;
mod gates;
mod install;
mod picture;
mod process;
mod python;
mod report;
mod servers;

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
        ["bench", "python"] => finish(python::measure()),
        ["bench", options @ ..] => finish(process::run(
            process::cargo(["bench", "--package=keyfob", "--features=tower"]).args(options),
        )),
        ["picture"] => finish(picture::draw()),
        ["provider"] => finish(servers::run_oidc_provider()),
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
       cargo xtask bench [OPTION]   run the benches; options go to `cargo bench`
       cargo xtask bench python     run the bench of the Python package
       cargo xtask picture          run the demo and draw docs/demo.svg
       cargo xtask provider         run the OAuth server of the tests, to try keyfob with";
