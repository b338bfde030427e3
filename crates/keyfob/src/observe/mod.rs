//! What keyfob reports about itself: log events through `tracing`, and metrics through `metrics`.
//!
//! Each event is a function here, so that its text, level and fields are written once; `docs/reference/observability.md` lists them.
//! No event contains a secret. This folder may import only `origin`, `token` and `error`.

pub(crate) mod event_limit;
pub(crate) mod events;
mod measurements;
pub(crate) mod pool;
#[cfg(feature = "proxy")]
pub(crate) mod proxy;
pub(crate) mod store;
