//! The events of renewals and requests.

use std::error::Error as StdError;
use std::time::Duration;

use tracing::field::{DisplayValue, debug, display};

use crate::error::error::Error;
use crate::error::printable::printable;
use crate::observe::event_limit::Admitted;
use crate::observe::measurements::{count, observe};

/// A renewal succeeded, with a new token or the same one again.
pub(crate) fn renewed(reason: &'static str, took: Duration, lifetime: Option<Duration>) {
    tracing::debug!(target: "keyfob", reason, ?took, lifetime = lifetime.map(debug), "token renewed");
    count("keyfob_renewals_total", &[("reason", reason)]);
}

/// A renewal failed. `usable` is true if the current token has not expired.
pub(crate) fn renewal_failed(
    reason: &'static str,
    error: &Error,
    pause: Option<Duration>,
    usable: bool,
) {
    let kind = error.kind().name();
    let cause = cause_of(error);
    let pause = pause.map(debug);
    if usable {
        tracing::warn!(target: "keyfob", reason, kind, error = %printable(error), cause, pause,
            "renewal failed; the current token is still valid and stays in use");
    } else {
        tracing::error!(target: "keyfob", reason, kind, error = %printable(error), cause, pause,
            "renewal failed, and there is no valid token");
    }
    count("keyfob_renewal_failures_total", &[("kind", kind)]);
}

/// The source was asked, and made no call because of a failure that it remembers and that was reported before.
pub(crate) fn failure_remembered(reason: &'static str, error: &Error, pause: Option<Duration>) {
    let kind = error.kind().name();
    let pause = pause.map(debug);
    tracing::debug!(target: "keyfob", reason, kind, error = %printable(error), pause,
        "no renewal was tried, because the source remembers its last failure");
}

/// A renewal ended after a caller had set a token. Its result, a token or an error, is dropped.
pub(crate) fn renewal_overruled(reason: &'static str, error: Option<&Error>) {
    let error = error.map(|error| display(printable(error)));
    tracing::debug!(target: "keyfob", reason, error, "a token was set during the renewal; the result of the renewal is not used");
}

/// The runtime of a renewal stopped running it, so that another renewal takes its place (T7).
pub(crate) fn renewal_abandoned() {
    tracing::warn!(target: "keyfob", "a renewal did not end within its timeout, because its runtime does not run it; another takes its place");
}

/// A token was put on a request. Its age is computed only if metrics are recorded.
#[inline]
pub(crate) fn token_used(age: impl FnOnce() -> Duration) {
    observe("keyfob_token_age_seconds", age);
}

/// A request will be sent again after a pause, as this attempt of so many. `status` is that of the response, if there is one.
pub(crate) fn retried(
    cause: &'static str,
    pause: Duration,
    status: Option<http::StatusCode>,
    [attempt, attempts]: [u32; 2],
) {
    let status = status.map(|status| status.as_u16());
    tracing::debug!(target: "keyfob", cause, ?pause, status, attempt, attempts, "request will be sent again");
    count("keyfob_retries_total", &[("cause", cause)]);
}

/// A request is not sent again, because there is no token. The caller gets the last response.
pub(crate) fn retry_without_token(error: &Error, logged: Option<Admitted>) {
    let kind = error.kind().name();
    count("keyfob_retries_without_token_total", &[("kind", kind)]);
    if let Some(Admitted { left_out }) = logged {
        tracing::warn!(target: "keyfob", kind, error = %printable(error), left_out, "request is not sent again, because there is no token");
    }
}

/// A request is sent again with a new token, because the response to the old one was 401.
pub(crate) fn replayed() {
    tracing::debug!(target: "keyfob", "token was rejected; request is sent again with a new one");
    count("keyfob_replays_total", &[]);
}

/// A token was rejected, and there is no other. The caller gets the 401 response.
pub(crate) fn replacement_failed(error: &Error, logged: Option<Admitted>) {
    let kind = error.kind().name();
    count("keyfob_replacement_failures_total", &[("kind", kind)]);
    if let Some(Admitted { left_out }) = logged {
        tracing::warn!(target: "keyfob", kind, error = %printable(error), left_out, "token was rejected and could not be replaced");
    }
}

/// The session's credential replaced one in the request (R9).
pub(crate) fn credential_overridden(header: &http::HeaderName) {
    tracing::debug!(target: "keyfob", %header, "the session's credential replaces the one in the request");
}

/// A redirect leads to another origin, and the request goes there without the credential (R1).
pub(crate) fn credential_withheld(origin: &crate::origin::origin::Origin) {
    tracing::debug!(target: "keyfob", %origin, "redirect to another origin; the request is sent without the credential");
}

/// The wall clock has moved ahead of the monotonic clock, so the token is checked once (T6).
pub(crate) fn clock_stepped() {
    tracing::info!(target: "keyfob", "the wall clock was set forward or the machine slept; the token is checked once");
}

/// The cause of an error, for a field. It may quote a server or another program.
pub(super) fn cause_of(error: &Error) -> Option<DisplayValue<String>> {
    error.source().map(|cause| display(printable(cause)))
}
