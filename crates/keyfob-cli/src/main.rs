//! The command line of keyfob.
//!
//! It is a user of the library like any other, and the only reader of environment and configuration. Each subcommand has
//! its file; `exit` has what scripts can rely on.

mod cli;
mod columns;
mod completions;
mod demo;
mod exit;
mod fault;
mod forget;
mod interrupt;
mod log;
mod login;
mod logout;
mod man;
mod print;
mod profile;
mod profile_options;
mod request;
mod signed_in;
mod status;
mod stores;
mod token;
mod token_options;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Builder;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::interrupt::interrupted;
use crate::print::tell;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let silent = cli.is_silent();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(fault) => {
            if let Some(message) = fault.message().filter(|_| !silent) {
                // The faults of a file are a line each.
                for line in message.lines() {
                    tell(format!("keyfob: {line}\n"));
                }
            }
            fault.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Fault> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|fault| Fault::because("the program cannot start", &fault))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            exit = interrupted() => Err(Fault::quiet(exit)),
            outcome = cli.run() => outcome,
        }
    });
    // Ends renewals that are under way, and with them the commands that they wait for.
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

/// How long a killed token command may take to be gone.
const FAREWELL: Duration = Duration::from_millis(500);
