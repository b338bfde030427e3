//! HTTP sessions that stay authenticated.

mod backoff;
mod cache;
mod challenge;
mod clock;
mod error;
mod freshness;
#[cfg(all(test, shuttle))]
mod model;
mod observe;
mod origin;
mod redirect;
mod retry_after;
mod runtime;
mod secret;
mod source;
mod sync;
mod token;

pub use crate::cache::Lease;
pub use crate::cache::Status;
pub use crate::cache::TokenCache;
pub use crate::cache::TokenCacheBuilder;
pub use crate::cache::TokenChange;
pub use crate::challenge::Challenge;
pub use crate::challenge::Challenges;
pub use crate::clock::Clock;
pub use crate::clock::Glance;
pub use crate::clock::SystemClock;
pub use crate::error::BoxError;
pub use crate::error::Error;
pub use crate::error::ErrorKind;
pub use crate::origin::Origin;
pub use crate::retry_after::RetryAfter;
pub use crate::runtime::Ambient;
pub use crate::runtime::Runtime;
pub use crate::source::Reason;
pub use crate::source::TokenRequest;
pub use crate::source::TokenSource;
pub use crate::source::env::EnvToken;
pub use crate::source::file::FileToken;
pub use crate::source::fixed::FixedToken;
pub use crate::source::hook::Hook;
pub use crate::source::hook::hook;
pub use crate::source::hook::hook_blocking;
pub use crate::token::Expiry;
pub use crate::token::IntoToken;
pub use crate::token::Token;
