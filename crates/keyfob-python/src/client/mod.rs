//! The parts of a request: what its outcome leads to, where the credential may go, and what is retried.

pub(crate) mod exchange;
pub(crate) mod origins;
pub(crate) mod retry_policy;
