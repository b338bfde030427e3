//! How often one event is logged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets an event of each request into the log once a minute, and counts those that it leaves out.
///
/// Without it, a busy service would fill its log during an outage.
#[derive(Debug, Default)]
pub(crate) struct EventLimit {
    /// When the next event is logged, in milliseconds.
    next: AtomicU64,
    left_out: AtomicU64,
}

/// An event to log.
pub(crate) struct Admitted {
    /// How many events were left out since the last one that was logged, if any.
    pub(super) left_out: Option<u64>,
}

impl EventLimit {
    /// Whether an event at this time of a clock is logged.
    pub(crate) fn admit(&self, elapsed: Duration) -> Option<Admitted> {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let next = now.saturating_add(INTERVAL_MILLIS);
        let is_logged = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
                (due <= now).then_some(next)
            });
        if is_logged.is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        Some(Admitted {
            left_out: (left_out > 0).then_some(left_out),
        })
    }
}

const INTERVAL_MILLIS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_logged_once_a_minute_with_the_number_left_out() {
        let limit = EventLimit::default();
        let logged = |seconds| {
            let admitted = limit.admit(Duration::from_secs(seconds));
            admitted.map(|admitted| admitted.left_out)
        };
        assert_eq!(logged(5), Some(None));
        assert_eq!([5, 6, 64].map(logged), [None; 3]);
        assert_eq!(logged(65), Some(Some(3)));
        assert_eq!(logged(70), None);
        assert_eq!(logged(1000), Some(Some(1)));
        assert_eq!(logged(2000), Some(None));
    }
}
