//! A token for each of many users: caches by key, made on demand, in bounded memory.
//!
//! [`TokenPool`](crate::TokenPool) is at the root of the crate. Here are its builder, the [`PoolKey`] of a user, and
//! [`PoolStatus`].
//!
//! ```
//! use keyfob::pool::PoolKey;
//! use keyfob::{FixedToken, Token, TokenPool};
//!
//! # fn token_of(subject: &str) -> String { format!("t0ken-of-{subject}") }
//! let pool = TokenPool::builder(|key: &PoolKey| Ok(FixedToken::new(Token::new(token_of(key.subject()))?)))
//!     .max_entries(50_000)
//!     .fetches_at_once(20)
//!     .build()?;
//! let alice = PoolKey::new("alice")?;
//! assert_eq!(pool.lease_blocking(&alice, None)?.token().expose(), "t0ken-of-alice");
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! Each key has a [`TokenCache`](crate::TokenCache) of its own, so that T1 to T9 hold for each. A bounded map holds the caches
//! that were used last or often. Next to it, an index holds each cache that is still in use, without keeping it alive: the map
//! may evict a cache whose token a request carries, or whose renewal runs, and the next caller for its key gets the same cache.
//! The renewals of all keys go through one queue, first come, first served.
//!
//! This folder may import `cache` and the folders after it.

pub(crate) mod builder;
pub(crate) mod entries;
pub(crate) mod key;
#[cfg(all(shuttle, test))]
mod model;
pub(crate) mod pool;
pub(crate) mod state;

pub use crate::pool::builder::TokenPoolBuilder;
pub use crate::pool::key::{PoolKey, PoolKeyBuilder};
pub use crate::pool::pool::PoolStatus;
