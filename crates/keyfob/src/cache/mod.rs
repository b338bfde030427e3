//! One token: read without a lock, and renewed once for all callers, before it expires.

pub(crate) mod builder;
pub(crate) mod cache;
pub(crate) mod current;
pub(crate) mod lease;
#[cfg(all(shuttle, test))]
mod model;
pub(crate) mod per_thread;
pub(crate) mod renewal;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod status;

pub use crate::cache::builder::{TokenCacheBuilder, TokenChange};
pub use crate::cache::lease::Lease;
pub use crate::cache::status::Status;
