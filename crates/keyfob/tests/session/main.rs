//! The two sessions against the scripted server: each promise of a session, by its name in the contract.

#![expect(
    clippy::disallowed_methods,
    reason = "the system's clock bounds how long a test waits in vain"
)]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is a report")]

mod answers;
mod belongings;
mod blocking;
mod closed;
mod deadlines;
#[cfg(feature = "metrics")]
mod figures;
mod heal;
mod kit;
mod listener;
mod names;
mod origins;
mod proxies;
mod retries;
mod secrets;
mod sharing;
mod tls;
