//! The events of token stores.

use std::fmt::Display;

use tracing::field::display;

use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::events::cause_of;
use crate::observe::measurements::count;

/// The token store is not available. `first` is true if it was available before.
pub(crate) fn unavailable(error: &Error, first: bool) {
    let cause = cause_of(error);
    if first {
        tracing::warn!(target: "keyfob", error = %printable(error), cause, "the token store is not available");
    } else {
        tracing::debug!(target: "keyfob", error = %printable(error), cause, "the token store is still not available");
    }
    count(FAILURES, &[]);
}

/// The token store works, but its entry cannot be read with the settings of this process.
pub(crate) fn unreadable(error: &Error) {
    tracing::error!(target: "keyfob", error = %printable(error), "the token store has an entry that this process cannot read; no token is shared until that is repaired");
    count(FAILURES, &[]);
}

/// The store has an older state of an entry than this process has seen.
pub(crate) fn outdated(id: &str) {
    tracing::error!(target: "keyfob", id, "the token store has an older state of an entry than this process has seen; it is not used");
    count("keyfob_store_rollbacks_total", &[]);
}

/// An entry was saved, and fewer replicas have it than wanted.
pub(crate) fn not_replicated(reached: u32, wanted: u32, refusal: Option<&dyn Display>) {
    let error = refusal.map(|refusal| display(printable(refusal)));
    tracing::warn!(target: "keyfob", reached, wanted, error, "too few replicas of the token store have the new token; it is lost if the server fails now");
    count("keyfob_unreplicated_saves_total", &[]);
}

/// There is no place for a profile's store, so that its tokens are only in memory.
pub(crate) fn no_place(error: &Error) {
    tracing::warn!(target: "keyfob", %error, "the token is not stored, because there is no place for it");
}

/// The token store is available again.
pub(crate) fn available_again() {
    tracing::info!(target: "keyfob", "the token store is available again");
}

/// A token was fetched without the store, and is not shared.
pub(crate) fn fetched_without_store() {
    tracing::debug!(target: "keyfob", "a token was fetched without the token store");
    count("keyfob_local_fetches_total", &[]);
}

/// A token that another process stored is used.
pub(crate) fn adopted(reason: &'static str) {
    tracing::debug!(target: "keyfob", reason, "using a token that another process stored");
    count("keyfob_adopted_tokens_total", &[("reason", reason)]);
}

/// The stored token is about to expire and could not be renewed.
pub(crate) fn stored_token_kept(error: &Error) {
    tracing::warn!(target: "keyfob", error = %printable(error), "the stored token could not be renewed; it is used until it expires");
}

/// An exchange whose outcome is unknown is tried once more.
pub(crate) fn exchange_repeated(by: &str) {
    tracing::warn!(target: "keyfob", by = %printable(by), "an exchange of the refresh token began and its outcome is unknown; it is tried once more");
}

/// A damaged entry was moved out of the way.
pub(crate) fn quarantined(error: &Error) {
    tracing::warn!(target: "keyfob", error = %printable(error), "the damaged entry of the token store was quarantined");
}

/// A new refresh token could not be stored yet.
pub(crate) fn save_failed(error: &Error) {
    let cause = cause_of(error);
    tracing::error!(target: "keyfob", error = %printable(error), cause, "the new token could not be stored and is not used yet; storing it is retried");
}

/// A new refresh token could not be stored in time, and is lost.
pub(crate) fn refresh_token_lost(error: &Error) {
    let cause = cause_of(error);
    tracing::error!(target: "keyfob", error = %printable(error), cause, "the new refresh token could not be stored and is lost; a new sign-in is needed");
}

/// Another process stored a token during an exchange, and its entry is used.
pub(crate) fn save_conflict() {
    tracing::warn!(target: "keyfob", "the lease of the token store expired during an exchange, and another process stored a token first");
}

const FAILURES: &str = "keyfob_store_failures_total";
