//! HTTP sessions that stay authenticated.

#![forbid(unsafe_code)]

#[cfg(any(feature = "session", feature = "tower"))]
#[cfg(any(feature = "session", feature = "tower"))]
mod alarm;
#[cfg(feature = "session")]
pub mod authentication;
mod authenticator;
mod backoff;
mod binding;
#[cfg(feature = "blocking")]
pub mod blocking;
mod cache;
mod challenge;
#[cfg(feature = "tower")]
mod classify;
mod clock;
#[cfg(any(feature = "tower", feature = "middleware"))]
mod drive;
mod error;
mod exchange;
mod freshness;
#[cfg(feature = "session")]
mod journey;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "middleware")]
mod middleware;
#[cfg(shuttle)]
#[cfg(test)]
mod model;
mod observe;
mod origin;
#[cfg(doctest)]
#[cfg(all(feature = "blocking", feature = "middleware", feature = "tower"))]
mod pages;
#[cfg(feature = "session")]
mod progress;
#[cfg(feature = "session")]
mod redirect;
#[cfg(feature = "tower")]
mod replay_body;
#[cfg(feature = "session")]
mod request_builder;
mod retry;
mod retry_after;
mod runtime;
mod secret;
#[cfg(feature = "session")]
mod sender;
#[cfg(feature = "session")]
mod session;
#[cfg(feature = "session")]
mod session_builder;
mod source;
#[cfg(feature = "session")]
mod surface;
mod sync;
mod token;
#[cfg(feature = "session")]
mod transport;
pub mod unstable;

pub use http;
#[cfg(feature = "session")]
pub use reqwest;

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
pub use crate::exchange::Failure;
#[cfg(feature = "tower")]
pub use crate::layer::Authenticated;
#[cfg(feature = "tower")]
pub use crate::layer::AuthenticationLayer;
#[cfg(feature = "tower")]
pub use crate::layer::AuthenticationLayerBuilder;
#[cfg(feature = "middleware")]
pub use crate::middleware::AuthenticationMiddleware;
#[cfg(feature = "middleware")]
pub use crate::middleware::AuthenticationMiddlewareBuilder;
pub use crate::origin::Origin;
#[cfg(feature = "tower")]
pub use crate::replay_body::BufferedBody;
#[cfg(feature = "tower")]
pub use crate::replay_body::ReplayBody;
#[cfg(feature = "tower")]
pub use crate::replay_body::ReplayBuffered;
#[cfg(feature = "tower")]
pub use crate::replay_body::ReplayCloned;
#[cfg(feature = "tower")]
pub use crate::replay_body::ReplayEmpty;
#[cfg(feature = "session")]
pub use crate::request_builder::RequestBuilder;
pub use crate::retry::RetryPolicy;
pub use crate::retry_after::RetryAfter;
pub use crate::runtime::Ambient;
pub use crate::runtime::Runtime;
#[cfg(feature = "session")]
pub use crate::session::Session;
#[cfg(feature = "session")]
pub use crate::session_builder::SessionBuilder;
pub use crate::source::Reason;
pub use crate::source::TokenRequest;
pub use crate::source::TokenSource;
pub use crate::source::command::CommandToken;
pub use crate::source::command::HelperRequest;
pub use crate::source::env::EnvToken;
pub use crate::source::file::FileToken;
pub use crate::source::fixed::FixedToken;
pub use crate::source::hook::Hook;
pub use crate::source::hook::hook;
pub use crate::source::hook::hook_blocking;
pub use crate::token::Expiry;
pub use crate::token::IntoToken;
pub use crate::token::Token;
