//! The workers of the demo, which use the session at the same time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keyfob::Session;
use keyfob::authentication::ExternallyManagedJwtSession;
use keyfob::cache::Status;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::output::error::CliError;

/// What the workers have counted.
#[derive(Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    failures: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

impl Counters {
    /// How many requests the workers made, not counting what the session sent again.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many of them failed or had a status other than success.
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

/// Lets the workers send requests until `end`, and waits for the last response.
pub(super) async fn work(
    workers: u32,
    session: &Arc<ExternallyManagedJwtSession>,
    api: &str,
    counters: &Arc<Counters>,
    end: Instant,
) {
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (session, counters) = (Arc::clone(session), Arc::clone(counters));
        let url = format!("{api}/work");
        tasks.spawn(async move {
            while Instant::now() < end {
                counters.count(send(&session, &url).await);
                sleep(PAUSE).await;
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        if outcome.is_err() {
            counters.count(Err("a worker panicked".to_owned()));
        }
    }
}

/// The status of the session once no renewal is in progress.
pub(super) async fn status_after_renewal(session: &Session) -> Status {
    for _ in 0..500 {
        if !session.status().renewing {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    session.status()
}

async fn send(session: &Session, url: &str) -> Result<(), String> {
    let response = match session.get(url).send().await {
        Ok(response) => response,
        Err(error) => {
            let error = CliError::from(error);
            return Err(error.message().unwrap_or_default().to_owned());
        }
    };
    let status = response.status();
    if !status.is_success() {
        return Err(format!("status {status}"));
    }
    response
        .bytes()
        .await
        .map(drop)
        .map_err(|error| error.without_url().to_string())
}

/// The pause of a worker before its next request.
const PAUSE: Duration = Duration::from_millis(20);
