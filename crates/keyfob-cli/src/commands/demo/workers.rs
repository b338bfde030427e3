//! Those who use the session, all at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keyfob::Session;
use keyfob::authentication::ExternallyManagedJwtSession;
use keyfob::cache::Status;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::output::error::CliError;

/// What the workers have seen.
#[derive(Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    failures: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Tally {
    /// Requests that were sent by workers, however often the session repeated them.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Those that did not end in a status of success.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        let first = self.first_failure.lock();
        first.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, outcome: Result<(), String>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = outcome {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let first = self.first_failure.lock();
            first
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(failure);
        }
    }
}

/// Has so many workers send requests until the end, and waits for the last answer.
pub(super) async fn work(
    workers: u32,
    session: &Arc<ExternallyManagedJwtSession>,
    api: &str,
    tally: &Arc<Tally>,
    end: Instant,
) {
    let mut crew = JoinSet::new();
    for _ in 0..workers {
        let (session, tally) = (Arc::clone(session), Arc::clone(tally));
        let url = format!("{api}/work");
        crew.spawn(async move {
            while Instant::now() < end {
                tally.count(send(&session, &url).await);
                sleep(PAUSE).await;
            }
        });
    }
    while let Some(ended) = crew.join_next().await {
        if ended.is_err() {
            tally.count(Err("a worker panicked".to_owned()));
        }
    }
}

/// How the session stands when no renewal is under way.
pub(super) async fn settled(session: &Session) -> Status {
    for _ in 0..500 {
        if !session.status().renewing {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    session.status()
}

async fn send(session: &Session, url: &str) -> Result<(), String> {
    let answer = match session.get(url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let fault = CliError::from(error);
            return Err(fault.message().unwrap_or_default().to_owned());
        }
    };
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("status {status}"));
    }
    answer
        .bytes()
        .await
        .map(drop)
        .map_err(|error| error.without_url().to_string())
}

/// What a worker does with an answer before it sends the next request.
const PAUSE: Duration = Duration::from_millis(20);
