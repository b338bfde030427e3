//! One logical request as pure decisions: no clock, no input or output. Imports `token`, `origin` and `error`.

pub(crate) mod backoff;
pub(crate) mod challenge;
pub(crate) mod exchange;
#[cfg(feature = "tower")]
pub(crate) mod io_failure;
#[cfg(not(feature = "oauth"))]
pub(crate) mod no_dpop;
#[cfg(feature = "session")]
pub(crate) mod redirect;
#[cfg(feature = "session")]
pub(crate) mod reqwest_failure;
pub(crate) mod retry;
pub(crate) mod retry_after;

pub use crate::exchange::challenge::{Challenge, Challenges};
pub use crate::exchange::exchange::{
    Exchange, Failure, IDEMPOTENCY_KEY, Idempotency, Now, Outcome, Replay, Step,
};
pub use crate::exchange::retry_after::RetryAfter;
