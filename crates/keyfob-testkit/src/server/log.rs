//! The requests that a server received.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock::lock;
use crate::server::received::Received;

/// The newest requests, and the count of all of them.
#[derive(Debug)]
pub(crate) struct Log {
    limit: usize,
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
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
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
        while entries.newest.len() > self.limit || entries.bytes > BYTES_LIMIT {
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

    pub(crate) async fn until_calls(&self, calls: usize) {
        // It cannot fail: the sender is in `self`.
        let _ = self.calls.subscribe().wait_for(|now| *now >= calls).await;
    }

    /// Blocks until there were this many calls or the timeout is over. Returns how many there are now.
    pub(crate) fn wait_for_calls(&self, calls: usize, timeout: Duration) -> usize {
        let (entries, _) = self
            .arrived
            .wait_timeout_while(lock(&self.entries), timeout, |now| now.calls < calls)
            .unwrap_or_else(PoisonError::into_inner);
        entries.calls
    }
}

/// The kept bodies of one server together stay below this size.
const BYTES_LIMIT: usize = 64 << 20;
