//! The parts of a request: what its outcome leads to, where the credential may go, what is retried, and what a server asks for.

pub(crate) mod exchange;
pub(crate) mod origins;
pub(crate) mod retry_policy;
pub(crate) mod step_up;
