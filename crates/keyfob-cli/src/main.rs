//! The command line of keyfob.
//!
//! It uses the library as any other program does, and it alone reads the environment and the configuration. Each subcommand has its
//! file in `commands`; scripts rely on `output::exit_code`.

mod cli;
mod commands;
mod credential;
mod options;
mod output;
mod profile_file;
mod renewal;
mod signals;
mod stdin;
mod stored_tokens;
mod text_file;

use std::process;
use std::time::Duration;

use keyfob::error::printable;
use tokio::runtime::Builder;

use crate::cli::Cli;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stderr;
#[cfg(unix)]
use crate::signals::end_by_signal;
use crate::signals::wait_for_signal;

fn main() -> process::ExitCode {
    let cli = Cli::read();
    let silent = cli.is_silent();
    let error = match run(cli) {
        Ok(exit) => return exit.into(),
        Err(error) => error,
    };
    if let Some(message) = error.message().filter(|_| !silent) {
        // A message about a profile file has one line for each mistake in it.
        for line in message.lines() {
            print_stderr(format!("keyfob: {}\n", printable(line)));
        }
    }
    error.exit().into()
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let mut builder = Builder::new_multi_thread();
    // A service has a thread for each processor.
    if !cli.is_service() {
        builder.worker_threads(2);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("the program cannot start", &error))?;
    let handles_signals = cli.handles_signals();
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            exit = wait_for_signal(), if !handles_signals => Err(CliError::silent(exit)),
            outcome = cli.run() => outcome,
        }
    });
    // Drops renewals in the background, and so kills the token commands that they wait for.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    #[cfg(unix)]
    if let Ok(ExitCode::KilledProgram(signal)) = outcome {
        end_by_signal(signal);
    }
    outcome
}

/// How long to wait for a killed token command to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
