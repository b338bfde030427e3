//! Where tokens come from: a hook, a file, a variable, a command, or a store in front of another source.

pub(crate) mod command;
pub(crate) mod env;
pub(crate) mod file;
pub(crate) mod fixed;
pub(crate) mod hook;
#[cfg(feature = "store")]
pub(crate) mod persisted;
pub(crate) mod reentrancy;
pub(crate) mod source;

pub use crate::source::command::HelperRequest;
pub use crate::source::hook::Hook;
#[cfg(feature = "store")]
pub use crate::source::persisted::{OnStoreOutage, Persisted};
pub use crate::source::source::{Reason, TokenRequest};
