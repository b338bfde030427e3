//! What the contract promises of a token cache, one test for each promise.
//!
//! A test steers everything itself: the clock, the source's answers, the renewals (see `world`), and its own callers,
//! which it polls by hand. Only the tests of `load` let threads run free.

#![expect(
    clippy::unwrap_used,
    reason = "what these tests share is test code, too"
)]

mod callbacks;
mod callers;
mod captured_log;
mod environment;
mod failures;
mod freshness;
mod harness;
mod load;
mod own_process;
mod rejections;
mod secrets;
mod set_token;
mod sources;
#[cfg(target_os = "linux")]
mod wiped_memory;
