//! What the contract promises of tokens that many share, with each kind of store.

#![expect(
    clippy::unwrap_used,
    reason = "what these tests share is test code, too"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is written by one process and read by another has a real time"
)]

#[cfg(feature = "metrics")]
mod figures;
mod files;
mod processes;
#[cfg(feature = "redis")]
mod redis_server;
mod rotation;
#[cfg(feature = "redis")]
mod shared_machines;
mod sharing;
mod world;
