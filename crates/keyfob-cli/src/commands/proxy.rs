//! `keyfob proxy`: a local proxy that puts tokens on the requests of programs that know nothing of keyfob.

mod bound;
mod hints;
mod log;
mod options;
mod place;
mod plan;
mod running;
mod secret;
mod service_state;
mod signals;
mod tokens;
mod users;

use clap::Args;

use crate::commands::proxy::options::ProxyOptions;
use crate::commands::proxy::plan::Plan;
use crate::commands::proxy::running::Running;
use crate::commands::proxy::service_state::Reloading;
use crate::commands::proxy::signals::{Event, Signals};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stderr};

/// Run a proxy that puts tokens on the requests of other programs
///
/// A program sends its requests to the proxy instead of the API, by a base URL or over a unix socket, and never sees the token. Each
/// route is a profile: its server and its token. With one NAME, the whole address is that route. With several, or with the table
/// [proxy] of keyfob.toml, a route is at /NAME/ or has an address of its own.
///
/// Without --socket and --listen, the proxy listens at the unix socket keyfob/proxy.sock in XDG_RUNTIME_DIR, which only you can use.
/// A TCP address also needs a secret of its clients. Without --client-secret-file, a new one is printed on standard output, as a line
/// for `export`.
///
/// SIGTERM and SIGINT let requests in progress end; a second signal cuts them off. SIGHUP reads keyfob.toml and the secrets again, or
/// ends the proxy if it has a terminal.
#[derive(Args)]
pub(crate) struct ProxyCommand {
    #[command(flatten)]
    options: ProxyOptions,
}

impl ProxyCommand {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        // The handlers come first, so that no signal ends the program with a socket file left behind.
        let mut signals = Signals::new()?;
        let starting = async {
            let plan = Plan::read(&self.options).await?;
            Running::start(plan)
        };
        let mut running = tokio::select! {
            biased;
            exit = signals.end() => return Err(CliError::silent(exit)),
            started = starting => started?,
        };
        running.show_hints();
        loop {
            match signals.next().await {
                // A reload that a signal ends has changed nothing yet.
                Event::Reload => tokio::select! {
                    biased;
                    exit = signals.end() => return running.stop(signals, exit).await,
                    () = self.reload(&mut running) => {}
                },
                Event::End(exit) => return running.stop(signals, exit).await,
            }
        }
    }

    /// Uses the file and the secrets as they are now. If they have a mistake, everything stays as it was.
    async fn reload(&self, running: &mut Running) {
        let reloading = Reloading::begin();
        let outcome = match Plan::read(&self.options).await {
            Ok(plan) => running.replace(plan).await,
            Err(error) => Err(error),
        };
        drop(reloading);
        match outcome {
            Ok(()) => print_notice("keyfob: the configuration was read again\n"),
            Err(error) => {
                let message = error.message().unwrap_or_default();
                print_stderr(format!(
                    "keyfob: the configuration stays as it was, because the new one cannot be used: {message}\n"
                ));
            }
        }
    }
}
