//! The events of token pools. No label and no field names a key, so the number of time series does not grow with the users.

use std::time::Duration;

use crate::observe::event_limit::Admitted;
use crate::observe::measurements::{add_to_gauge, count, observe};

/// A caller asked for a key, and the pool had its cache, or had to make it.
#[inline]
pub(crate) fn looked_up(result: &'static str) {
    count("keyfob_pool_lookups_total", &[("result", result)]);
}

/// A cache was made for a key.
pub(crate) fn created() {
    add_to_gauge("keyfob_pool_entries", 1.0);
}

/// The cache of a key is gone.
pub(crate) fn gone() {
    add_to_gauge("keyfob_pool_entries", -1.0);
}

/// The pool is gone, and with it what is left of its caches.
pub(crate) fn closed(entries: usize) {
    add_to_gauge("keyfob_pool_entries", -(entries as f64));
}

/// The pool gave up the cache of a key. Callers that have it may still use it.
pub(crate) fn evicted(cause: &'static str) {
    count("keyfob_pool_evictions_total", &[("cause", cause)]);
}

/// The pool has more keys in use than it may have.
pub(crate) fn full(limit: usize, logged: Option<Admitted>) {
    count("keyfob_pool_refused_keys_total", &[]);
    let Some(Admitted { left_out }) = logged else {
        return;
    };
    tracing::warn!(target: "keyfob", limit, left_out, "the token pool is full of refresh tokens that no store keeps; a new key is refused");
}

/// A fetch was put into the queue of its pool.
pub(crate) fn queued() {
    add_to_gauge("keyfob_pool_queued_fetches", 1.0);
}

/// The turn of a fetch has come.
pub(crate) fn started(waited: Duration) {
    add_to_gauge("keyfob_pool_queued_fetches", -1.0);
    observe("keyfob_pool_wait_seconds", || waited);
}
