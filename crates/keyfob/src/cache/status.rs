//! How the cache stands, for dashboards and health checks.

use std::time::Duration;

use crate::error::error::ErrorKind;

/// How a [`TokenCache`](crate::TokenCache) stands, without any secret.
///
/// ```
/// let cache = keyfob::TokenCache::new(keyfob::EnvToken::new("API_TOKEN"));
/// let status = cache.status();
/// assert!(!status.authenticated);
/// assert_eq!(status.renewals, 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether there is a token outside its leeway.
    pub authenticated: bool,
    /// Time since the source was asked for the token.
    pub age: Option<Duration>,
    /// Time until the token expires; `None` if there is no token, or it has no known expiry.
    pub expires_in: Option<Duration>,
    /// Time until the token falls due, or until a failed renewal is tried again; zero if that moment has come.
    pub next_renewal_in: Option<Duration>,
    /// Whether the source is being asked now.
    pub renewing: bool,
    /// The number of the token's leases; grows each time another token takes the place of the last, the first one included.
    pub generation: u64,
    /// Renewals that gave a token.
    pub renewals: u64,
    /// Renewals that failed.
    pub failures: u64,
    /// Callers that waited for a renewal though there had been a token before; those after a 401 apart.
    pub delayed: u64,
    /// What the last renewal failed of, if it failed.
    pub last_error: Option<ErrorKind>,
}
