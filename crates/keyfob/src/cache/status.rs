//! The state of a cache, for dashboards and health checks.

use std::time::Duration;

use crate::error::error::ErrorKind;

/// The state of a [`TokenCache`](crate::TokenCache), without any secret.
///
/// A health check can report a problem before requests fail:
///
/// ```
/// use keyfob::cache::Status;
/// use keyfob::{EnvToken, TokenCache};
///
/// fn is_healthy(status: &Status) -> bool {
///     status.authenticated && status.last_error.is_none()
/// }
///
/// let tokens = TokenCache::new(EnvToken::new("API_TOKEN"));
/// assert!(!is_healthy(&tokens.status()), "nothing has been fetched yet");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether there is a token that does not expire within its leeway.
    pub authenticated: bool,
    /// The time since the source was asked for the token.
    pub age: Option<Duration>,
    /// The time until the token expires. `None` if there is no token or its expiry is not known.
    pub expires_in: Option<Duration>,
    /// The time until the token is due, or until a failed renewal is tried again, which may only read a store; after a refusal, until
    /// the token expires. Zero if that time has come.
    pub next_renewal_in: Option<Duration>,
    /// Whether a renewal runs now.
    pub renewing: bool,
    /// The number of the token, which grows each time another token replaces the last one.
    pub generation: u64,
    /// How many renewals gave a token.
    pub renewals: u64,
    /// How many renewals failed.
    pub failures: u64,
    /// How many callers waited for a renewal although there had been a token, without those after a 401.
    pub delayed: u64,
    /// The kind of error of the last renewal, if it failed.
    pub last_error: Option<ErrorKind>,
}
