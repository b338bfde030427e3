//! What all requests of one client may spend on retries together.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::observe::event_limit::EventLimit;

/// The retry budget that all requests of one client share.
///
/// A retry takes from the budget. A request that succeeds at its first attempt gives a little back. During an outage the
/// first few dozen retries empty the budget; from then on each request is sent once, so that retries do not multiply
/// the load.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Debug)]
pub struct RetryBudget {
    left: AtomicU32,
    /// The requests of one client share the limits of their log events too.
    pub(crate) failed_replacements: EventLimit,
    pub(crate) retries_without_token: EventLimit,
}

/// The price of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryCost {
    /// After a failure.
    Failure,
    /// After the server asked for fewer requests.
    Throttled,
    /// After a refused connection, which costs the server nothing.
    Refused,
}

impl RetryBudget {
    /// Pays for a retry and returns `true`, or returns `false` if too little is left.
    pub(crate) fn withdraw(&self, cost: RetryCost) -> bool {
        let price = match cost {
            RetryCost::Failure => 14,
            RetryCost::Throttled => 5,
            RetryCost::Refused => 1,
        };
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(price)
            })
            .is_ok()
    }

    /// Gives one unit back for a request that succeeded at its first attempt.
    pub(crate) fn deposit(&self) {
        if self.left.load(Ordering::Relaxed) < FULL {
            // Several threads at once may exceed the limit a little, which does no harm.
            self.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Default for RetryBudget {
    /// A full budget.
    fn default() -> Self {
        Self {
            left: AtomicU32::new(FULL),
            failed_replacements: EventLimit::default(),
            retries_without_token: EventLimit::default(),
        }
    }
}

const FULL: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_an_outage_empties_the_budget_and_successes_fill_it() {
        let budget = RetryBudget::default();
        let granted = |cost| (0..1000).filter(|_| budget.withdraw(cost)).count();
        assert_eq!(granted(RetryCost::Failure), 35);
        (0..14).for_each(|_| budget.deposit());
        assert!(budget.withdraw(RetryCost::Failure));
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!(granted(RetryCost::Throttled), 100);
    }
}
