//! The sessions and the middleware against a scripted server: each promise of the contract about requests.

#![expect(
    clippy::disallowed_methods,
    reason = "waits have timeouts in real time"
)]
#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]

mod api_reference;
mod blocking;
mod bounded_retries;
mod callers_settings;
mod captured_log;
mod documented_defaults;
mod each_attempt;
#[path = "../oauth/error_texts.rs"]
mod error_texts;
mod fails_closed;
mod fixtures;
mod last_response;
mod late_server;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "middleware")]
mod middleware;
mod origins;
#[path = "../tokens/own_process.rs"]
mod own_process;
mod proxies;
mod renewal_after_401;
mod responses;
mod retries;
mod secrets;
mod shared_sessions;
mod timeouts;
mod tls;
