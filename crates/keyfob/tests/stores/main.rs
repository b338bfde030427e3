//! What the contract promises of tokens that many share, with each kind of store.

#![expect(
    clippy::unwrap_used,
    reason = "what these tests share is test code, too"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is written by one process and read by another has a real time"
)]

mod files;
mod fixtures;
#[cfg(feature = "metrics")]
mod metrics;
mod other_process;
mod processes;
mod rotation;
mod shared_store;
