//! The two sessions against the scripted server: each promise of a session, by its name in the contract.

#![expect(
    clippy::disallowed_methods,
    reason = "the system's clock bounds how long a test waits in vain"
)]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a report")]

mod api_reference;
mod blocking;
mod bounded_retries;
mod callers_settings;
mod captured_log;
mod documented_defaults;
mod each_attempt;
mod fails_closed;
mod fixtures;
mod last_response;
mod late_server;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "middleware")]
mod middleware;
mod origins;
mod proxies;
mod renewal_after_401;
mod responses;
mod retries;
mod secrets;
mod shared_sessions;
mod timeouts;
mod tls;
