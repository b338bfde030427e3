//! One logical request as pure decisions.
//!
//! [`Exchange`] is the state machine of a request: it decides about renewals, retries and redirects. It does no input or
//! output and reads no clock, so its rules are tested without a network. The other types are what it reads
//! and what it returns. A client of your own drives it through [`custom_client`](crate::custom_client).

pub(crate) mod budget;
pub(crate) mod challenge;
pub(crate) mod exchange;
#[cfg(feature = "tower")]
pub(crate) mod io_failure;
pub(crate) mod outcome;
pub(crate) mod proof;
pub(crate) mod redirect;
pub(crate) mod rejection;
#[cfg(feature = "session")]
pub(crate) mod reqwest_failure;
pub(crate) mod retry;
pub(crate) mod retry_after;
pub(crate) mod step_up;
pub(crate) mod tunnel;

pub use crate::exchange::budget::RetryBudget;
pub use crate::exchange::challenge::{Challenge, Challenges};
pub use crate::exchange::exchange::{Exchange, Now, Step};
pub use crate::exchange::outcome::{Failure, IDEMPOTENCY_KEY, Idempotency, Outcome, Replay};
pub use crate::exchange::proof::{DPOP, DPOP_NONCE, RequestProof};
pub use crate::exchange::redirect::{OnRedirect, Redirect, RedirectBody};
pub use crate::exchange::retry_after::RetryAfter;
pub use crate::exchange::step_up::{StepUp, StepUpReason};
