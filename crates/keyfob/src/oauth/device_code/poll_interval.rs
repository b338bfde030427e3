//! How often the token endpoint is polled during a device sign-in (RFC 8628 §3.5).

use std::time::Duration;

/// The pause before the next poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollInterval {
    interval: Duration,
    failures: u32,
    /// The pause that the server asked for in the last error response (`Retry-After`).
    retry_after: Duration,
}

impl PollInterval {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(MIN_INTERVAL),
            failures: 0,
            retry_after: Duration::ZERO,
        }
    }

    pub(crate) fn pause(&self) -> Duration {
        // RFC 8628 §3.5 recommends "doubling the polling interval on each such connection timeout".
        // A shift of a 32-bit number by 32 would overflow.
        let doublings = self.failures.min(31);
        let backoff = self.interval.saturating_mul(1 << doublings);
        backoff
            .min(MAX_BACKOFF.max(self.interval))
            .max(self.retry_after)
    }

    /// The server responded that the sign-in is still pending.
    pub(crate) fn pending(&mut self) {
        self.failures = 0;
        self.retry_after = Duration::ZERO;
    }

    /// "the interval MUST be increased by 5 seconds for this and all subsequent requests"
    pub(crate) fn slow_down(&mut self) {
        self.pending();
        self.interval += SLOW_DOWN_STEP;
    }

    /// The poll failed, or the response says nothing about the sign-in.
    pub(crate) fn failed(&mut self, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.retry_after = retry_after.unwrap_or_default();
    }
}

const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);

/// A server may say `0`, which would mean polling without a pause.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// After an outage of the server, a person who has already signed in should not wait for minutes.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_slow_down_lasts() {
        let mut interval = PollInterval::new(5 * SECOND);
        interval.slow_down();
        assert_eq!(interval.pause(), 10 * SECOND);
        interval.pending();
        assert_eq!(interval.pause(), 10 * SECOND);
        interval.slow_down();
        assert_eq!(interval.pause(), 15 * SECOND);
    }

    #[test]
    fn failures_double_the_pause_up_to_a_minute_until_a_poll_succeeds() {
        let mut interval = PollInterval::new(5 * SECOND);
        let pauses = std::iter::from_fn(|| {
            interval.failed(None);
            Some(interval.pause().as_secs())
        });
        assert_eq!(pauses.take(5).collect::<Vec<_>>(), [10, 20, 40, 60, 60]);
        interval.pending();
        assert_eq!(interval.pause(), 5 * SECOND);
    }

    #[test]
    fn a_longer_retry_after_or_interval_of_the_server_is_kept() {
        let mut interval = PollInterval::new(90 * SECOND);
        assert_eq!(interval.pause(), 90 * SECOND);
        interval.failed(Some(300 * SECOND));
        assert_eq!(interval.pause(), 300 * SECOND);
    }

    #[test]
    fn there_is_always_a_pause() {
        assert_eq!(PollInterval::new(Duration::ZERO).pause(), SECOND);
    }
}
