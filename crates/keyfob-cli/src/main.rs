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

use std::io::{IsTerminal, stderr};
use std::process;
use std::time::Duration;

use keyfob::error::printable;
use keyfob::source::wait_for_exchanges;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use crate::cli::Cli;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_hint, print_stderr};
use crate::signals::Signals;
#[cfg(unix)]
use crate::signals::end_by_signal;

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
    let entered = runtime.enter();
    let mut signals = match cli.handles_signals() {
        true => Signals::left_alone(),
        false => Signals::handled(),
    };
    drop(entered);
    let (outcome, is_interrupted) = runtime.block_on(async {
        tokio::select! {
            biased;
            exit = signals.next() => (Err(CliError::silent(exit)), true),
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
    runtime.block_on(finish_exchanges(signals, is_interrupted));
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

/// Waits for exchanges in the background (T9): one that is cut off looks like one whose response was lost.
///
/// The first signal ends everything but this wait, and the second one ends this as well.
async fn finish_exchanges(mut signals: Signals, is_interrupted: bool) {
    let ended = timeout(EXCHANGE_TIMEOUT, async {
        while !wait_for_exchanges(Duration::ZERO) {
            sleep(EXCHANGE_PAUSE).await;
        }
    });
    tokio::pin!(ended);
    if !is_interrupted {
        tokio::select! {
            _ = &mut ended => return,
            _ = signals.next() => {}
        }
    }
    tokio::select! {
        _ = &mut ended => return,
        () = sleep(REPEAT_TIMEOUT) => {}
        () = async { loop { signals.next().await; } } => {}
    }
    if stderr().is_terminal() {
        print_hint("waiting for the new refresh token; Ctrl-C again ends keyfob without it");
    }
    tokio::select! {
        _ = ended => {}
        _ = signals.next() => {}
    }
}

/// How long to wait for exchanges in the background: twice as long as a database may take to reply.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(6);

const EXCHANGE_PAUSE: Duration = Duration::from_millis(5);

/// How long after a signal others are the same one again: `timeout` and a closed terminal send it twice.
const REPEAT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long to wait for a killed token command to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
