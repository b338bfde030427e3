//! The places of a server's connections: how many there are at once, and which one is closed for another (P7).
//!
//! Every user of a machine can connect to a TCP port. Connections without a request would take all places, so that a client that is
//! invited waits. So the oldest of them is closed when another connection needs its place.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::proxy::server::connection::Connection;
use crate::clock::clock::Clock;

pub(super) struct Places {
    free: Arc<Semaphore>,
    limit: usize,
    /// The connections in the order in which they were made, and when. Those that have ended or been admitted may be among them.
    made: VecDeque<(Duration, Weak<Connection>)>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
            made: VecDeque::new(),
        }
    }

    /// A place, as soon as one is free. The oldest connection without an admitted request gives way, when it has had some time.
    pub(super) async fn take(&mut self, clock: &dyn Clock) -> OwnedSemaphorePermit {
        let mut place = pin!(Arc::clone(&self.free).acquire_owned());
        let place = loop {
            let oldest = async {
                match self.oldest_silent() {
                    Some(made) => {
                        let age = clock.elapsed().saturating_sub(made);
                        clock.sleep(LEAST_TIME.saturating_sub(age)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                place = &mut place => break place,
                () = oldest => {}
            }
            // It may have ended, or have been admitted meanwhile.
            if self.displace_oldest() {
                break place.await;
            }
        };
        place.expect("the semaphore is never closed")
    }

    /// Notes a connection that has a place.
    pub(super) fn note(&mut self, connection: &Arc<Connection>, now: Duration) {
        if self.made.len() >= 2 * self.limit {
            self.made.retain(|(_, connection)| is_silent(connection));
        }
        self.made.push_back((now, Arc::downgrade(connection)));
    }

    /// When the oldest connection without an admitted request was made.
    fn oldest_silent(&mut self) -> Option<Duration> {
        while let Some((made, connection)) = self.made.front() {
            if is_silent(connection) {
                return Some(*made);
            }
            self.made.pop_front();
        }
        None
    }

    fn displace_oldest(&mut self) -> bool {
        let oldest = self.oldest_silent().and_then(|_| self.made.pop_front());
        let oldest = oldest.and_then(|(_, connection)| connection.upgrade());
        oldest.inspect(|oldest| oldest.displace()).is_some()
    }
}

fn is_silent(connection: &Weak<Connection>) -> bool {
    let connection = connection.upgrade();
    connection.is_some_and(|connection| !connection.is_admitted())
}

/// How long a connection may be without a request although another one needs its place.
const LEAST_TIME: Duration = Duration::from_secs(1);
