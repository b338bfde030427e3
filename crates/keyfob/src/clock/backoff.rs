//! The pause before another attempt.

use std::time::Duration;

/// A pause that doubles with each failure up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
}

impl Backoff {
    /// The longest pause after this number of failures in a row; the first failure is number 1.
    pub(crate) fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }

    /// A pause from zero to the ceiling ("full jitter"), so that callers that failed together return at different times.
    pub(crate) fn full_jitter(&self, failures: u32, jitter: f64) -> Duration {
        self.ceiling(failures).mul_f64(jitter)
    }

    /// A pause from half the ceiling to the ceiling, for cases in which a pause of zero is not allowed.
    pub(crate) fn half_jitter(&self, failures: u32, jitter: f64) -> Duration {
        self.ceiling(failures).mul_f64(0.5 + jitter / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        cap: Duration::from_secs(1),
    };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<_> = (1..=6).map(|n| BACKOFF.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.cap);
    }

    #[test]
    fn jitter_spreads_over_all_or_over_half() {
        assert_eq!(BACKOFF.full_jitter(2, 0.0), Duration::ZERO);
        assert_eq!(BACKOFF.full_jitter(2, 0.5), Duration::from_millis(100));
        assert_eq!(BACKOFF.half_jitter(2, 0.0), Duration::from_millis(100));
        assert_eq!(BACKOFF.half_jitter(2, 1.0), Duration::from_millis(200));
    }
}
