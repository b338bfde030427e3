//! HTTP sessions that stay authenticated.

mod challenge;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the sessions that call this come next")
)]
mod redirect;
mod retry_after;

pub use crate::challenge::{Challenge, Challenges};
pub use crate::retry_after::RetryAfter;
