//! How a server is stopped: it drains, and what has not ended in time is cut off (P7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::clock::{Clock, within};
use crate::clock::system::SystemClock;

/// Stops servers and their connections. They run until it is told to stop them.
#[derive(Debug)]
pub struct Stop(watch::Sender<Phase>);

/// What a server and its connections watch. All of them have ended when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<Phase>);

/// How far a server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// No more connections and requests are taken.
    Drain,
    /// Nothing goes on.
    Cut,
}

impl Stop {
    /// Makes a handle for servers that run.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::channel(Phase::Running).0)
    }

    /// What the servers watch.
    #[must_use]
    pub fn watch(&self) -> Stopping {
        Stopping(self.0.subscribe())
    }

    /// Stops accepting connections and requests, and waits until the requests in progress have ended.
    ///
    /// After the timeout, their connections are cut off. Clients of HTTP/2 are told which of their requests are still served
    /// (GOAWAY). Returns whether all requests have ended by themselves.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.begin();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        if within(&*clock, timeout, self.0.closed()).await.is_some() {
            return true;
        }
        self.cut();
        let _ = within(&*clock, AFTER_CUT, self.0.closed()).await;
        false
    }

    /// Stops accepting connections and requests, as [`drain`](Self::drain) does, without waiting.
    pub fn begin(&self) {
        self.enter(Phase::Drain);
    }

    /// Cuts off every connection now.
    pub fn cut(&self) {
        self.enter(Phase::Cut);
    }

    fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let is_later = *current < phase;
            if is_later {
                *current = phase;
            }
            is_later
        });
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stopping {
    /// Completes in this phase or a later one. Servers that nothing can stop any more go on.
    pub(crate) async fn wait_for(&self, phase: Phase) {
        let mut watched = self.0.clone();
        if watched.wait_for(|current| *current >= phase).await.is_err() {
            std::future::pending().await
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Drain
    }
}

/// How long the tasks of connections that were cut off may take to notice.
const AFTER_CUT: Duration = Duration::from_secs(1);
