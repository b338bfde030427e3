//! `keyfob demo`: the same workers and faults drive a plain client and keyfob, and a table compares the two.

mod plain;
mod report;
mod samples;
mod servers;
mod sides;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};

use crate::commands::demo::report::Figures;
use crate::commands::demo::samples::{HEADS, Samples};
use crate::commands::demo::sides::Side;
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::{print_notice, print_stdout};

/// Watch a session stay authenticated, on this machine alone
///
/// Starts an issuer whose tokens expire after 3 seconds and take 300 milliseconds to issue, and an API that checks them, responds to
/// every 50th request with 503, and rejects a valid token now and then. Workers send requests through a plain client, which fetches
/// a token when it has none that is valid and forgets it after a 401, and as many send them through keyfob. Each second, two lines
/// show what happened in it. At the end, a table compares both with what keyfob promises; the exit code is 0 only if every promise
/// was kept. Nothing leaves this machine.
#[derive(Args)]
pub(crate) struct Demo {
    /// How long to send requests
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(3..=3600))]
    seconds: u64,
    /// How many workers send requests at the same time, through each client
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    workers: u32,
    /// Print the counts of each tenth of a second as JSON, in place of the table
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        let (plain, keyfob) = (Arc::new(Side::plain()), Arc::new(Side::keyfob()?));
        // The first token is not compared: either client has to wait for it.
        plain.fetch_first_token().await?;
        keyfob.fetch_first_token().await?;
        print_notice(format!(
            "{} workers with a plain client, and {} with keyfob, for {} seconds; tokens live for 3 seconds\n{HEADS}\n",
            self.workers, self.workers, self.seconds,
        ));

        let start = Instant::now();
        let end = start + Duration::from_secs(self.seconds);
        let samples = Samples::new(&plain, &keyfob, self.seconds);
        let work = async {
            tokio::join!(
                workers::work(self.workers, &plain, end),
                workers::work(self.workers, &keyfob, end)
            )
        };
        tokio::select! {
            _ = work => {}
            () = sides::revoke_repeatedly(&plain, &keyfob) => {}
            () = samples.take_repeatedly() => {}
        }
        keyfob.wait_for_renewal().await;
        let samples = samples.finish();

        let figures = Figures::read(&plain, &keyfob);
        if self.json {
            print_stdout(report::json(&samples, [&plain, &keyfob], start))?;
        } else {
            print_stdout(figures.table())?;
        }
        match figures.broken_promises() {
            None => Ok(ExitCode::Done),
            Some(broken) => Err(CliError::new(
                ExitCode::Failed,
                keyfob.first_failure().map_or(broken.clone(), |failure| {
                    format!("{broken}; the first failure: {failure}")
                }),
            )),
        }
    }
}
