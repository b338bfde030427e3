//! The figures of stores, by name.

use metrics::counter;

pub(super) fn away() {
    counter!("keyfob_store_failures_total").increment(1);
}

pub(super) fn fetched_locally() {
    counter!("keyfob_local_fetches_total").increment(1);
}

pub(super) fn adopted(reason: &'static str) {
    counter!("keyfob_adopted_tokens_total", "reason" => reason).increment(1);
}
