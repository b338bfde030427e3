//! The promises of the contract about one token cache.
//!
//! A test controls everything: the clock, the results of the source, the renewals (see `harness`), and its callers,
//! which it polls by hand. Only the tests of `load` use free-running threads.

#![expect(clippy::unwrap_used, reason = "shared code of tests is test code too")]

mod callbacks;
mod callers;
mod captured_log;
mod commands;
mod environment;
mod failures;
mod freshness;
mod harness;
mod load;
mod own_process;
#[cfg(feature = "pool")]
mod pool;
mod rejections;
mod secrets;
mod set_token;
mod sources;
#[cfg(target_os = "linux")]
mod wiped_memory;
