//! Which failures are retried, how often, and after which pause.

use std::time::Duration;

use http::StatusCode;

use crate::clock::backoff::Backoff;
use crate::exchange::budget::RetryCost;

/// Which failures are retried, how often, and for how long.
///
/// A request is retried only if its body can be sent again in full. These failures are retried:
///
/// * A connection that failed before anything was sent, for any method.
/// * A timeout, a broken connection, or one of [`STATUSES`](Self::STATUSES), if the request is idempotent: by its method
///   (RFC 9110 §9.2.2), because it is marked, or by an `Idempotency-Key`.
/// * 429 and 503 with `Retry-After`, for any method, because the server says that it did not process the request.
///
/// Each pause is random, from zero up to a bound that doubles. After a refused connection it is longer, from half of the
/// bound up: four attempts then take between 5 and 11 seconds, in which a server can restart. A `Retry-After` (RFC 9110 §10.2.3) is honoured if it fits into
/// the total time; otherwise the response in hand is returned at once. All requests of one client share a
/// [`RetryBudget`](crate::exchange::RetryBudget), so that retries do not multiply the load of an outage.
///
/// ```
/// use std::time::Duration;
/// use http::StatusCode;
/// use keyfob::RetryPolicy;
///
/// let policy = RetryPolicy::default()
///     .attempts(6)
///     .total(Duration::from_secs(30))
///     .retry(StatusCode::NOT_FOUND);
/// let once = RetryPolicy::never();
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    attempts: u32,
    total: Duration,
    usual: Backoff,
    throttled: Backoff,
    refused: Backoff,
    statuses: Vec<StatusCode>,
}

impl RetryPolicy {
    /// How often a request is sent, the first time included, unless set.
    pub const ATTEMPTS: u32 = 4;

    /// The time in which an attempt may begin, unless set. A response that is being received is not cut off.
    pub const TOTAL: Duration = Duration::from_secs(90);

    /// The upper bound of the first pause, unless set.
    pub const FIRST_PAUSE: Duration = Duration::from_millis(200);

    /// The upper bound of the first pause after a refused connection, unless set.
    pub const FIRST_PAUSE_REFUSED: Duration = Duration::from_millis(1500);

    /// The upper bound of all pauses, unless set.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(20);

    /// The statuses that are retried, unless set.
    pub const STATUSES: [StatusCode; 7] = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];

    /// A policy that sends each request once. A 401 still renews the token.
    #[must_use]
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    /// Sets how often a request is sent, the first time included; at least once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the time in which an attempt may begin, counted from the call.
    #[must_use]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// Sets the upper bounds of the first pause and of all pauses.
    ///
    /// They are [`FIRST_PAUSE`](Self::FIRST_PAUSE) and [`LONGEST_PAUSE`](Self::LONGEST_PAUSE) unless set.
    #[must_use]
    pub fn pauses(mut self, first: Duration, cap: Duration) -> Self {
        let at_least = |usual: Backoff| Backoff {
            first: first.max(usual.first.min(cap)),
            cap,
        };
        self.throttled = at_least(self.throttled);
        self.refused = at_least(self.refused);
        self.usual = Backoff { first, cap };
        self
    }

    /// Retries one more status.
    #[must_use]
    pub fn retry(mut self, status: StatusCode) -> Self {
        if !self.statuses.contains(&status) {
            self.statuses.push(status);
        }
        self
    }

    /// Does not retry this status, even with a `Retry-After`.
    #[must_use]
    pub fn do_not_retry(mut self, status: StatusCode) -> Self {
        self.statuses.retain(|&kept| kept != status);
        self
    }

    pub(crate) fn retries(&self, status: StatusCode) -> bool {
        self.statuses.contains(&status)
    }

    pub(crate) fn attempts_at_most(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn total_time(&self) -> Duration {
        self.total
    }

    /// The random pause before the next attempt. A `Retry-After` comes in addition.
    pub(crate) fn pause(&self, failures: u32, cost: RetryCost, jitter: f64) -> Duration {
        match cost {
            RetryCost::Failure => self.usual.full_jitter(failures, jitter),
            RetryCost::Throttled => self.throttled.full_jitter(failures, jitter),
            // Not from zero: attempts that follow each other at once would all end before the server is back.
            RetryCost::Refused => self.refused.half_jitter(failures, jitter),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let cap = Self::LONGEST_PAUSE;
        Self {
            attempts: Self::ATTEMPTS,
            total: Self::TOTAL,
            usual: Backoff {
                first: Self::FIRST_PAUSE,
                cap,
            },
            throttled: Backoff {
                first: Duration::from_secs(1),
                cap,
            },
            refused: Backoff {
                first: Self::FIRST_PAUSE_REFUSED,
                cap,
            },
            statuses: Self::STATUSES.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4_404_is_opt_in_and_statuses_can_be_left_out() {
        let policy = RetryPolicy::default();
        assert!(!policy.retries(StatusCode::NOT_FOUND));
        assert!(
            policy
                .clone()
                .retry(StatusCode::NOT_FOUND)
                .retries(StatusCode::NOT_FOUND)
        );
        assert!(
            !policy
                .do_not_retry(StatusCode::BAD_GATEWAY)
                .retries(StatusCode::BAD_GATEWAY)
        );
    }

    #[test]
    fn r4_the_attempts_after_refused_connections_last_for_a_restart_of_five_seconds() {
        let policy = RetryPolicy::default();
        let pauses = |jitter| -> Duration {
            let pause = |failures| policy.pause(failures, RetryCost::Refused, jitter);
            (1..RetryPolicy::ATTEMPTS).map(pause).sum()
        };
        assert_eq!(pauses(0.0), Duration::from_millis(5250));
        assert_eq!(pauses(1.0), Duration::from_millis(10_500));
        let prompt = policy.pauses(Duration::ZERO, Duration::ZERO);
        assert_eq!(prompt.pause(3, RetryCost::Refused, 1.0), Duration::ZERO);
    }

    #[test]
    fn r5_pauses_are_jittered_and_capped() {
        let policy = RetryPolicy::default();
        assert_eq!(
            policy.pause(1, RetryCost::Failure, 1.0),
            Duration::from_millis(200)
        );
        assert_eq!(policy.pause(1, RetryCost::Failure, 0.0), Duration::ZERO);
        assert_eq!(
            policy.pause(3, RetryCost::Throttled, 0.5),
            Duration::from_secs(2)
        );
        assert_eq!(
            policy.pause(30, RetryCost::Failure, 1.0),
            Duration::from_secs(20)
        );
    }
}
