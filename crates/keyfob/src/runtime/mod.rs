//! Where background work runs: renewals, blocking hooks, timers. Imports no other folder.

pub(crate) mod block_on;
pub(crate) mod blocking_flag;
pub(crate) mod lock;
pub(crate) mod runtime;
pub(crate) mod threads;
pub(crate) mod timer;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;
#[cfg(not(feature = "tokio"))]
pub(crate) mod without_tokio;

pub use crate::runtime::runtime::{Runtime, TokioOrThreads};
