//! Waiting for other processes.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits for what another process does and does not tell.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
