//! What a server remembers of the requests it received.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock::lock;
use crate::received::Received;

/// The newest requests, and the count of all of them.
#[derive(Debug)]
pub(crate) struct Log {
    kept: usize,
    entries: Mutex<Entries>,
    arrived: Condvar,
    calls: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Entries {
    newest: VecDeque<Received>,
    bytes: usize,
    calls: usize,
}

impl Log {
    pub(crate) fn new(kept: usize) -> Self {
        Self {
            kept,
            entries: Mutex::default(),
            arrived: Condvar::new(),
            calls: watch::Sender::new(0),
        }
    }

    pub(crate) fn push(&self, received: Received) {
        let mut entries = lock(&self.entries);
        entries.calls += 1;
        entries.bytes += received.body.len();
        entries.newest.push_back(received);
        while entries.newest.len() > self.kept || entries.bytes > BYTES_KEPT {
            let Some(oldest) = entries.newest.pop_front() else {
                break;
            };
            entries.bytes -= oldest.body.len();
        }
        self.calls.send_replace(entries.calls);
        self.arrived.notify_all();
    }

    pub(crate) fn newest(&self) -> Vec<Received> {
        let entries = lock(&self.entries);
        entries.newest.iter().cloned().collect()
    }

    pub(crate) fn calls(&self) -> usize {
        lock(&self.entries).calls
    }

    pub(crate) async fn reached(&self, calls: usize) {
        // It cannot fail: the sender is in `self`.
        let _ = self.calls.subscribe().wait_for(|now| *now >= calls).await;
    }

    /// Blocks until there were so many calls; says how many there are now.
    pub(crate) fn reached_within(&self, calls: usize, limit: Duration) -> usize {
        let (entries, _) = self
            .arrived
            .wait_timeout_while(lock(&self.entries), limit, |now| now.calls < calls)
            .unwrap_or_else(PoisonError::into_inner);
        entries.calls
    }
}

/// All bodies of one server together stay below this.
const BYTES_KEPT: usize = 64 << 20;
