//! One token: read without a lock, and renewed once for all callers, before it expires.
//!
//! [`TokenCache`](crate::TokenCache) is at the root of the crate. Here are its builder, its [`Status`], and [`Lease`], the
//! token on one request.
//!
//! ```
//! use std::time::Duration;
//!
//! use keyfob::{EnvToken, TokenCache};
//!
//! let tokens = TokenCache::builder(EnvToken::new("API_TOKEN"))
//!     .fetch_timeout(Duration::from_secs(5))
//!     .default_lifetime(Duration::from_secs(3600))
//!     .build()?;
//! assert_eq!(tokens.status().renewals, 0);
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! The current token is an immutable snapshot behind an `ArcSwap`. A read loads the snapshot, reads two coarse clocks and
//! clones the token's copy for this thread; while both clocks are before the snapshot's next check, that is all. Any other
//! read goes to `SharedState` and decides under its lock: is the token due, does a renewal run, did one just fail? A renewal
//! is a background task of its own, whose result all waiting callers share. `model.rs` checks this with a model checker.
//!
//! This folder may import `source` and the folders after it.

pub(crate) mod abort;
pub(crate) mod builder;
pub(crate) mod cache;
pub(crate) mod cache_source;
pub(crate) mod caller;
pub(crate) mod current;
pub(crate) mod lease;
pub(crate) mod locked_state;
#[cfg(all(shuttle, test))]
pub(crate) mod model;
pub(crate) mod per_thread;
#[cfg(feature = "pool")]
pub(crate) mod pooled;
pub(crate) mod renewal;
pub(crate) mod renewal_task;
pub(crate) mod shared_state;
pub(crate) mod status;

pub use crate::cache::builder::{TokenCacheBuilder, TokenChange};
pub use crate::cache::cache_source::CacheSource;
pub use crate::cache::lease::Lease;
pub use crate::cache::status::Status;
