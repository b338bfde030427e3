//! HTTP sessions that stay authenticated.

mod challenge;
mod retry_after;

pub use crate::challenge::{Challenge, Challenges};
pub use crate::retry_after::RetryAfter;
