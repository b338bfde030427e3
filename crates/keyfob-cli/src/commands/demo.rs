//! `keyfob demo`: many workers, tokens that live for seconds, a server that misbehaves; and what came of it.

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
use crate::commands::demo::workers::Tally;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_stderr, print_stdout};

/// Watch a session stay authenticated, on this machine alone
///
/// Starts an issuer of tokens that live for 3 seconds and take 300 milliseconds to issue, and an API that checks them, answers
/// every 50th request with 503, and loses faith in a good token now and then. Workers share one session and send requests for
/// as long as told. At the end there is a table of what was measured and what is promised; the exit code is 0 only if
/// every promise was kept. Nothing leaves this machine.
#[derive(Args)]
pub(crate) struct Demo {
    /// How long to send requests
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(3..=3600))]
    seconds: u64,
    /// How many workers send them at once
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    workers: u32,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let servers = Servers::start();
        let session = Arc::new(ExternallyManagedJwtSession::new(servers.handler()?)?);
        let tally = Arc::new(Tally::default());
        let end = Instant::now() + Duration::from_secs(self.seconds);
        print_stderr(format!(
            "{} workers share one session for {} seconds; the issuer is at {}, the API at {}\n",
            self.workers,
            self.seconds,
            servers.issuer_url(),
            servers.api_url(),
        ));

        let api = servers.api_url();
        let work = workers::work(self.workers, &session, &api, &tally, end);
        let show = Progress::new(self.seconds);
        tokio::select! {
            () = work => {}
            () = servers.revoke_now_and_then(&session) => {}
            () = show.run(&session, &servers, &tally) => {}
        }
        let status = workers::settled(&session).await;
        drop(show);

        let figures = Figures::read(&status, &servers, &tally);
        print_stdout(figures.table())?;
        match figures.broken() {
            None => Ok(ExitCode::Done),
            Some(broken) => Err(CliError::new(
                ExitCode::Failed,
                tally.first_failure().map_or(broken.clone(), |failure| {
                    format!("{broken}; the first failure: {failure}")
                }),
            )),
        }
    }
}
