//! Waiting for other processes.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Polls until another process has done something that it does not report.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(5));
    }
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
