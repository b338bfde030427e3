//! Where background work runs: renewals, blocking hooks and timers.
//!
//! A cache runs each renewal as a task of its own, so that a caller that gives up does not end it (T7). By default,
//! [`TokioOrThreads`] decides where:
//!
//! | work | on a tokio runtime | elsewhere |
//! |---|---|---|
//! | a renewal | a task of that runtime | a thread `keyfob-renewal`, which ends with it |
//! | a blocking hook | tokio's threads for blocking work | a thread `keyfob-hook`, which ends with it |
//! | a timer | tokio's timer | one thread `keyfob-timer` for the process |
//!
//! There is one exception: while a thread with a single-threaded tokio runtime waits in a blocking method of keyfob, that
//! runtime cannot run anything, so the renewal gets a thread.
//!
//! With another async runtime, or to run all renewals in one place, implement [`Runtime`] and give it to the cache. The docs
//! of [`Runtime`] have a complete example.
//!
//! ```
//! use keyfob::runtime::TokioOrThreads;
//! use keyfob::{EnvToken, TokenCache};
//!
//! // What a cache does unless it is given another runtime:
//! let tokens = TokenCache::builder(EnvToken::new("API_TOKEN"))
//!     .runtime(TokioOrThreads)
//!     .build()?;
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! If the system refuses to start a thread, the renewal counts as abandoned: the next caller starts another.
//!
//! The async session always needs tokio, because `reqwest` does. The tower layer, the sources and the cache do not.
//!
//! This folder may import `origin`, `token` and `error`. Today it imports nothing.

pub(crate) mod block_on;
pub(crate) mod lock;
pub(crate) mod runtime;
pub(crate) mod task_queue;
pub(crate) mod timer;

pub use futures_util::future::BoxFuture;

pub use crate::runtime::runtime::{Runtime, Spawner, TokioOrThreads};
