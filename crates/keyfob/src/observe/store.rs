//! What a token store goes through.

use std::error::Error as StdError;

#[cfg(not(feature = "metrics"))]
mod nowhere;
#[cfg(feature = "metrics")]
mod recorder;

use crate::error::error::Error;
#[cfg(not(feature = "metrics"))]
use crate::observe::store::nowhere as meter;
#[cfg(feature = "metrics")]
use crate::observe::store::recorder as meter;

/// The token store could not be used; `first` says whether it could be before.
pub(crate) fn away(error: &Error, first: bool) {
    let cause = error.source().map(tracing::field::display);
    if first {
        tracing::warn!(target: "keyfob", %error, cause, "the token store cannot be used");
    } else {
        tracing::debug!(target: "keyfob", %error, cause, "the token store still cannot be used");
    }
    meter::away();
}

/// The token store can be used again.
pub(crate) fn back() {
    tracing::info!(target: "keyfob", "the token store can be used again");
}

/// The token was got without the store, and is not shared.
pub(crate) fn fetched_locally() {
    tracing::debug!(target: "keyfob", "a token was got without the token store");
    meter::fetched_locally();
}

/// A token that somebody else got was taken from the store.
pub(crate) fn adopted(reason: &'static str) {
    tracing::debug!(target: "keyfob", reason, "the token of another process was taken from the store");
    meter::adopted(reason);
}

/// The stored token ends soon, and could not be renewed.
pub(crate) fn used_in_spite_of(error: &Error) {
    tracing::warn!(target: "keyfob", %error, "the stored token could not be renewed and is used for as long as it lasts");
}

/// An exchange whose answer nobody knows is tried once more.
pub(crate) fn exchange_repeated(by: &str) {
    tracing::warn!(target: "keyfob", by, "an exchange of the refresh token was begun and its answer is not known; trying it once more");
}

/// A damaged entry was moved out of the way.
pub(crate) fn set_aside(error: &Error) {
    tracing::warn!(target: "keyfob", %error, "the damaged entry of the token store was set aside");
}

/// A new refresh token could not be stored yet.
pub(crate) fn not_stored_yet(error: &Error) {
    let cause = error.source().map(tracing::field::display);
    tracing::error!(target: "keyfob", %error, cause, "the new token could not be stored and is not used yet; trying on");
    meter::away();
}

/// A new refresh token could not be stored for so long that it is given up.
pub(crate) fn given_up(error: &Error) {
    let cause = error.source().map(tracing::field::display);
    tracing::error!(target: "keyfob", %error, cause, "the new refresh token could not be stored and is lost; a new sign-in is needed");
}

/// Somebody else had saved meanwhile; the entry that is there counts.
pub(crate) fn outrun() {
    tracing::warn!(target: "keyfob", "the lease of the token store was lost during an exchange, and another process was faster");
}
