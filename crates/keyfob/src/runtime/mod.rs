//! Where background work runs: renewals, blocking hooks and timers.
//!
//! A cache runs each renewal as a task of its own, so that a caller that gives up does not end it (T7). By default that is
//! [`TokioOrThreads`]: the tokio runtime of the caller, or a thread. With another async runtime, implement [`Runtime`] and
//! give it to the cache: `TokenCache::builder(source).runtime(MyRuntime)`. The docs of [`Runtime`] have a complete example.
//!
//! This folder may import only `origin`, `token` and `error`, and today imports none of them.

pub(crate) mod block_on;
pub(crate) mod lock;
pub(crate) mod runtime;
pub(crate) mod timer;

pub use crate::runtime::runtime::{Runtime, TokioOrThreads};
