//! How often a server is asked how a sign-in stands (RFC 8628 §3.5).

use std::time::Duration;

/// The pause before the next question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    failures: u32,
    least: Duration,
}

impl Pace {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(SHORTEST),
            failures: 0,
            least: Duration::ZERO,
        }
    }

    pub(crate) fn pause(&self) -> Duration {
        // "doubling the polling interval on each such connection timeout"
        let doublings = self.failures.min(31);
        let backed_off = self.interval.saturating_mul(1 << doublings);
        backed_off.min(LONGEST.max(self.interval)).max(self.least)
    }

    /// The server said that nobody has agreed yet.
    pub(crate) fn heard(&mut self) {
        self.failures = 0;
        self.least = Duration::ZERO;
    }

    /// "the interval MUST be increased by 5 seconds for this and all subsequent requests"
    pub(crate) fn slow_down(&mut self) {
        self.heard();
        self.interval += STEP;
    }

    /// No answer came, or one that says nothing of the sign-in; perhaps with the pause that the server wants.
    pub(crate) fn heard_nothing(&mut self, least: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.least = least.unwrap_or_default();
    }
}

const STEP: Duration = Duration::from_secs(5);

/// A server that says `0` would be asked without a pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// A person who has agreed shall not wait for minutes after a server was away.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_slow_down_lasts() {
        let mut pace = Pace::new(5 * SECOND);
        pace.slow_down();
        assert_eq!(pace.pause(), 10 * SECOND);
        pace.heard();
        assert_eq!(pace.pause(), 10 * SECOND);
        pace.slow_down();
        assert_eq!(pace.pause(), 15 * SECOND);
    }

    #[test]
    fn silence_doubles_the_pause_up_to_a_minute_until_something_is_heard() {
        let mut pace = Pace::new(5 * SECOND);
        let pauses = std::iter::from_fn(|| {
            pace.heard_nothing(None);
            Some(pace.pause().as_secs())
        });
        assert_eq!(pauses.take(5).collect::<Vec<_>>(), [10, 20, 40, 60, 60]);
        pace.heard();
        assert_eq!(pace.pause(), 5 * SECOND);
    }

    #[test]
    fn the_server_may_ask_for_more_and_an_interval_over_a_minute_is_kept() {
        let mut pace = Pace::new(90 * SECOND);
        assert_eq!(pace.pause(), 90 * SECOND);
        pace.heard_nothing(Some(300 * SECOND));
        assert_eq!(pace.pause(), 300 * SECOND);
    }

    #[test]
    fn nobody_is_asked_without_a_pause() {
        assert_eq!(Pace::new(Duration::ZERO).pause(), SECOND);
    }
}
