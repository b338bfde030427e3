//! `keyfob demo`: many workers share a session while tokens expire and servers fail, and a table shows the result.

mod progress;
mod report;
mod servers;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use keyfob::authentication::ExternallyManagedJwtSession;

use crate::commands::demo::progress::Progress;
use crate::commands::demo::report::Figures;
use crate::commands::demo::servers::Servers;
use crate::commands::demo::workers::Counters;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_stderr, print_stdout};

/// Watch a session stay authenticated, on this machine alone
///
/// Starts an issuer whose tokens expire after 3 seconds and take 300 milliseconds to issue, and an API that checks them, responds to
/// every 50th request with 503, and rejects a valid token now and then. Workers share one session and send requests. At the end, a
/// table compares the measured figures with the promised ones; the exit code is 0 only if every promise was kept. Nothing leaves
/// this machine.
#[derive(Args)]
pub(crate) struct Demo {
    /// How long to send requests
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(3..=3600))]
    seconds: u64,
    /// How many workers send requests at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    workers: u32,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let servers = Servers::start();
        let session = Arc::new(ExternallyManagedJwtSession::new(servers.handler()?)?);
        let counters = Arc::new(Counters::default());
        let end = Instant::now() + Duration::from_secs(self.seconds);
        print_stderr(format!(
            "{} workers share one session for {} seconds; the issuer is at {}, the API at {}\n",
            self.workers,
            self.seconds,
            servers.issuer_url(),
            servers.api_url(),
        ));

        let api = servers.api_url();
        let work = workers::work(self.workers, &session, &api, &counters, end);
        let progress = Progress::new(self.seconds);
        tokio::select! {
            () = work => {}
            () = servers.revoke_repeatedly(&session) => {}
            () = progress.run(&session, &servers, &counters) => {}
        }
        let status = workers::status_after_renewal(&session).await;
        drop(progress);

        let figures = Figures::read(&status, &servers, &counters);
        print_stdout(figures.table())?;
        match figures.broken_promises() {
            None => Ok(ExitCode::Done),
            Some(broken) => Err(CliError::new(
                ExitCode::Failed,
                counters.first_failure().map_or(broken.clone(), |failure| {
                    format!("{broken}; the first failure: {failure}")
                }),
            )),
        }
    }
}
