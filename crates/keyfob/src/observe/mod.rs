//! What happens inside, told to `tracing` and, with the feature `metrics`, to `metrics`. Never a secret.

use std::time::Duration;

#[cfg(not(feature = "metrics"))]
mod nowhere;
#[cfg(feature = "metrics")]
mod recorder;
#[cfg(feature = "session")]
pub(crate) mod redirect;
#[cfg(feature = "store")]
pub(crate) mod store;

use crate::error::error::Error;
#[cfg(not(feature = "metrics"))]
use crate::observe::nowhere as meter;
#[cfg(feature = "metrics")]
use crate::observe::recorder as meter;

/// A renewal gave a token, new or the same again.
pub(crate) fn renewed(reason: &'static str, took: Duration, lifetime: Option<Duration>) {
    tracing::debug!(target: "keyfob", reason, ?took, ?lifetime, "token renewed");
    meter::renewed(reason);
}

/// A renewal failed. `usable` says whether the old token is still served.
pub(crate) fn renewal_failed(
    reason: &'static str,
    error: &Error,
    pause: Option<Duration>,
    usable: bool,
) {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    if usable {
        tracing::warn!(target: "keyfob", reason, kind = error.kind().name(), %error, cause, ?pause,
            "renewal failed; the token is still valid and is used on");
    } else {
        tracing::error!(target: "keyfob", reason, kind = error.kind().name(), %error, cause, ?pause,
            "renewal failed, and there is no valid token");
    }
    meter::renewal_failed(error.kind().name());
}

/// A renewal ended after a token was handed in, which is used instead of whatever the renewal brought.
pub(crate) fn overtaken(reason: &'static str, error: Option<&Error>) {
    let error = error.map(tracing::field::display);
    tracing::debug!(target: "keyfob", reason, error, "a token was handed in during the renewal, whose outcome is not used");
}

/// A token of this age was put on a request.
#[inline]
pub(crate) fn token_used(age: impl FnOnce() -> Duration) {
    meter::token_used(age);
}

/// A request will be sent again after a pause.
pub(crate) fn retried(cause: &'static str, pause: Duration) {
    tracing::debug!(target: "keyfob", cause, ?pause, "request will be sent again");
    meter::retried(cause);
}

/// A request is not sent again, because there is no token for it; its caller gets the answer in hand.
pub(crate) fn retry_given_up(error: &Error) {
    tracing::warn!(target: "keyfob", kind = error.kind().name(), %error, "there is no token to send the request again with");
}

/// A request is sent again with a new token, because the old one was answered with 401.
pub(crate) fn replayed() {
    tracing::debug!(target: "keyfob", "token was rejected; request is sent again with a new one");
    meter::replayed();
}

/// A 401 was handed to the caller, because no other token was to be had.
pub(crate) fn rejection_stands(error: &Error) {
    tracing::warn!(target: "keyfob", kind = error.kind().name(), %error, "token was rejected and could not be replaced");
}

/// The session's credential took the place of one that the request had.
pub(crate) fn credential_overridden(header: &http::HeaderName) {
    tracing::debug!(target: "keyfob", %header, "the session's credential replaces the one that the request had");
}

/// The wall clock and the monotonic one disagree; the token is checked once.
pub(crate) fn clock_stepped() {
    tracing::info!(target: "keyfob", "the wall clock was set forward or the machine slept; checking the token once");
}
