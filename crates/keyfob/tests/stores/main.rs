//! The promises of the contract about tokens in stores, with stores in memory and in files.

#![expect(clippy::unwrap_used, reason = "shared code of tests is test code too")]
#![expect(clippy::disallowed_methods, reason = "processes run in real time")]

#[path = "../tokens/captured_log.rs"]
mod captured_log;
#[cfg(feature = "metrics")]
mod counters;
mod files;
mod fixtures;
#[cfg(feature = "metrics")]
mod metrics;
mod old_formats;
mod other_process;
mod outages;
mod pauses;
mod processes;
mod rotation;
mod sealing_keys;
mod shared_store;
