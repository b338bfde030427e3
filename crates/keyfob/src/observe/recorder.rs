//! The figures of the feature `metrics`, by name.

use std::time::Duration;

use metrics::{counter, histogram};

pub(super) fn renewed(reason: &'static str) {
    counter!("keyfob_renewals_total", "reason" => reason).increment(1);
}

pub(super) fn renewal_failed(kind: &'static str) {
    counter!("keyfob_renewal_failures_total", "kind" => kind).increment(1);
}

/// In seconds, for each request that carries a token.
pub(super) fn token_used(age: impl FnOnce() -> Duration) {
    histogram!("keyfob_token_age_seconds").record(age().as_secs_f64());
}

pub(super) fn retried(cause: &'static str) {
    counter!("keyfob_retries_total", "cause" => cause).increment(1);
}

pub(super) fn replayed() {
    counter!("keyfob_replays_total").increment(1);
}
