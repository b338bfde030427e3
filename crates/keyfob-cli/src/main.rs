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
use keyfob::source::wait_for_exchanges;
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
    let mut builder = Builder::new_multi_thread();
    // A service has a thread for each processor.
    if !cli.is_service() {
        builder.worker_threads(2);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(CliError::failed("the program cannot start", &error), silent),
    };
    let handles_signals = cli.handles_signals();
    let (outcome, is_interrupted) = runtime.block_on(async {
        tokio::select! {
            biased;
            exit = wait_for_signal(), if !handles_signals => (Err(CliError::silent(exit)), true),
            outcome = cli.run() => (outcome, false),
        }
    });
    #[cfg(unix)]
    let killed_by = match outcome {
        Ok(ExitCode::KilledProgram(signal)) => Some(signal),
        _ => None,
    };
    // Before the wait for exchanges, so that a person reads at once what happened.
    let exit = match outcome {
        Ok(exit) => exit.into(),
        Err(error) => report(error, silent),
    };
    // T9: an exchange that is cut off looks like one whose response was lost. A person who interrupts the program does not wait.
    if !is_interrupted {
        wait_for_exchanges(EXCHANGE_TIMEOUT);
    }
    // Drops renewals in the background, and so kills the token commands that they wait for.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    #[cfg(unix)]
    if let Some(signal) = killed_by {
        end_by_signal(signal);
    }
    exit
}

/// Says what went wrong.
fn report(error: CliError, silent: bool) -> process::ExitCode {
    if let Some(message) = error.message().filter(|_| !silent) {
        // A message about a profile file has one line for each mistake in it.
        for line in message.lines() {
            print_stderr(format!("keyfob: {}\n", printable(line)));
        }
    }
    error.exit().into()
}

/// How long to wait for exchanges in the background: twice as long as a database may take to reply.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(6);

/// How long to wait for a killed token command to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
