//! `keyfob demo`: many workers, tokens that live for seconds, a server that misbehaves; and what came of it.

mod outside;
mod progress;
mod verdict;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use keyfob::authentication::ExternallyManagedJwtSession;

use crate::demo::outside::Outside;
use crate::demo::progress::Progress;
use crate::demo::verdict::Figures;
use crate::demo::workers::Tally;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::print::{print, tell};

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
    pub(crate) async fn run(self) -> Result<Exit, Fault> {
        let outside = Outside::start();
        let session = Arc::new(ExternallyManagedJwtSession::new(outside.handler()?)?);
        let tally = Arc::new(Tally::default());
        let end = Instant::now() + Duration::from_secs(self.seconds);
        tell(format!(
            "{} workers share one session for {} seconds; the issuer is at {}, the API at {}\n",
            self.workers,
            self.seconds,
            outside.issuer_url(),
            outside.api_url(),
        ));

        let api = outside.api_url();
        let work = workers::work(self.workers, &session, &api, &tally, end);
        let show = Progress::new(self.seconds);
        tokio::select! {
            () = work => {}
            () = outside.revoke_now_and_then(&session) => {}
            () = show.run(&session, &outside, &tally) => {}
        }
        let status = workers::settled(&session).await;
        drop(show);

        let figures = Figures::read(&status, &outside, &tally);
        print(figures.table())?;
        match figures.broken() {
            None => Ok(Exit::Done),
            Some(broken) => Err(Fault::new(
                Exit::Failed,
                tally.first_failure().map_or(broken.clone(), |failure| {
                    format!("{broken}; the first failure: {failure}")
                }),
            )),
        }
    }
}
