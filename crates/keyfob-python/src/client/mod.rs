//! The parts of a request: its outcome, the origins of the credential, retries, and responses that ask for more.

pub(crate) mod exchange;
pub(crate) mod origins;
pub(crate) mod retry_policy;
pub(crate) mod step_up;
