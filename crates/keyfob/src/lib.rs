//! HTTP sessions that stay authenticated.

mod challenge;

pub use crate::challenge::{Challenge, Challenges};
