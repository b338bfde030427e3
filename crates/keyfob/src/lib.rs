//! HTTP sessions that stay authenticated.
//!
//! keyfob is for programs whose API token is issued by something else and runs out: a vault, an identity provider, a
//! command such as `gh auth token`, a file that somebody rotates. It gets the token where it comes from, renews it once for
//! all callers and before it ends, puts it on requests to the origins that it was given for and on no others, retries what is
//! safe to retry, and never prints it. Where a person has to sign in first, module `oauth` has that as well.
//!
//! # Async
//!
//! ```no_run
//! # #[cfg(feature = "session")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use keyfob::{EnvToken, Session};
//!
//! let session = Session::new("https://api.example.com/v1/", EnvToken::new("API_TOKEN"))?;
//! let reports = session.get("reports").query(&[("year", "2026")]).send().await?;
//! println!("{}", reports.error_for_status()?.text().await?);
//!
//! // Sent once only if the server may have seen it, unless it is said to be idempotent.
//! session.post("orders").json(&["a", "b"]).idempotent().send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Blocking
//!
//! ```no_run
//! # #[cfg(feature = "blocking")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use keyfob::FileToken;
//! use keyfob::blocking::Session;
//!
//! let session = Session::new("https://api.example.com/v1/", FileToken::new("/run/secrets/token"))?;
//! let reports = session.get("reports").send()?;
//! println!("{}", reports.error_for_status()?.text()?);
//! # Ok(())
//! # }
//! ```
//!
//! # A token from a hook of your own
//!
//! ```
//! use std::time::Duration;
//! use keyfob::TokenCache;
//!
//! # async fn ask_the_vault() -> Result<String, std::io::Error> { Ok("t0ken".to_owned()) }
//! let tokens = TokenCache::new(keyfob::hook(|_| async {
//!     let token = ask_the_vault().await?;
//!     Ok::<_, std::io::Error>((token, Duration::from_secs(300)))
//! }));
//! // Sessions that are made with clones of it share the token. It can be used without a session, too:
//! let headers = tokens.lease_blocking(Some(Duration::from_secs(10)))?.headers().to_vec();
//! assert_eq!(headers[0].0, keyfob::http::header::AUTHORIZATION);
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! # A token that a command prints
//!
//! ```no_run
//! use std::time::Duration;
//! use keyfob::{CommandToken, TokenCache};
//!
//! let gh = CommandToken::new(["gh", "auth", "token"])?.timeout(Duration::from_secs(10));
//! let tokens = TokenCache::builder(gh)
//!     .default_lifetime(Duration::from_secs(3600))
//!     .build()?;
//! println!("token of {} characters", tokens.get_valid_token_blocking()?.expose().len());
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `session` | yes | the async `Session`, and module `authentication`; over `reqwest` |
//! | `blocking` | yes | module `blocking`: the session for code without async |
//! | `rustls`, `http2`, `charset`, `system-proxy` | yes | handed on to `reqwest` |
//! | `cookies`, `gzip`, `socks` | no | handed on to `reqwest` |
//! | `oauth` | no | module `oauth`: tokens from OAuth 2.0 servers |
//! | `store` | yes | [`Persisted`] with [`FileStore`] and [`MemoryStore`]: one token for many processes |
//! | `redis` | no | [`RedisStore`]: one token for many machines |
//! | `keyring` | no | [`KeyringStore`]: the keyring of the system, for tokens and for secrets that profiles name |
//! | `profiles` | no | [`Profiles`]: sessions by name, from a `keyfob.toml`; with `dpop`, `oauth`, `redis` and `store` |
//! | `tower` | no | `AuthenticationLayer` over any HTTP service |
//! | `middleware` | no | `AuthenticationMiddleware` for `reqwest-middleware` clients |
//! | `tokio` | with `session` | renewals run on the caller's tokio runtime, where there is one |
//! | `dpop` | no | proof of possession: `oauth::DpopProver`; with `oauth` |
//! | `metrics` | no | figures through the `metrics` facade |
//!
//! Without any, [`TokenCache`], the sources and module [`unstable`] remain, and need neither HTTP client nor runtime.
//!
//! # Where to look next
//!
//! * Where tokens come from: [`TokenSource`], [`hook`](fn@hook), [`hook_blocking`], [`CommandToken`], [`FileToken`], [`EnvToken`].
//! * Tokens from OAuth 2.0 servers: module `oauth`, with the feature of that name.
//! * When a token is renewed, and who waits for it: [`TokenCache`]; how it stands: [`Status`].
//! * What is retried: [`RetryPolicy`].
//! * What can go wrong: [`ErrorKind`], and [`Error::is_timeout`].
//! * A face of your own, or another language: [`unstable`].
//!
//! The crates whose types stand in this API are re-exported: [`http`], `reqwest` with the feature `session`, and `redis`
//! with that of its name.

#![forbid(unsafe_code)]

#[cfg(any(feature = "session", feature = "tower"))]
mod alarm;
#[cfg(feature = "session")]
mod answer;
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
#[cfg(feature = "dpop")]
mod dpop;
#[cfg(feature = "dpop")]
mod dpop_setter;
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
#[cfg(not(feature = "dpop"))]
mod no_dpop;
#[cfg(feature = "oauth")]
pub mod oauth;
mod observe;
mod origin;
#[cfg(any(feature = "session", feature = "tower"))]
mod origin_setters;
#[cfg(doctest)]
#[cfg(all(
    feature = "blocking",
    feature = "dpop",
    feature = "middleware",
    feature = "profiles",
    feature = "tower"
))]
mod pages;
#[cfg(feature = "profiles")]
mod profile;
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
mod sending;
#[cfg(feature = "session")]
mod session;
#[cfg(feature = "session")]
mod session_builder;
mod source;
#[cfg(any(feature = "session", feature = "tower"))]
mod stall;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "session")]
mod surface;
mod sync;
mod token;
#[cfg(feature = "session")]
mod transport;
pub mod unstable;

pub use http;
#[cfg(feature = "redis")]
pub use redis;
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
#[cfg(feature = "profiles")]
pub use crate::profile::Profile;
#[cfg(feature = "profiles")]
pub use crate::profile::Profiles;
#[cfg(feature = "profiles")]
pub use crate::profile::check::Finding;
#[cfg(feature = "profiles")]
pub use crate::profile::sign_in::SignIn;
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
pub use crate::source::Consumes;
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
#[cfg(feature = "store")]
pub use crate::source::persisted::Persisted;
#[cfg(feature = "store")]
pub use crate::source::persisted::WhenAway;
#[cfg(feature = "store")]
pub use crate::store::KeptEntry;
#[cfg(feature = "store")]
pub use crate::store::Listed;
#[cfg(feature = "store")]
pub use crate::store::StoreLease;
#[cfg(feature = "store")]
pub use crate::store::TokenStore;
#[cfg(feature = "store")]
pub use crate::store::entry::Begun;
#[cfg(feature = "store")]
pub use crate::store::entry::Entry;
#[cfg(feature = "store")]
pub use crate::store::fault::StoreError;
#[cfg(feature = "store")]
pub use crate::store::fault::StoreErrorKind;
#[cfg(feature = "store")]
pub use crate::store::file::FileStore;
#[cfg(feature = "store")]
pub use crate::store::key::StoreKey;
#[cfg(feature = "store")]
pub use crate::store::key::StoreKeyBuilder;
#[cfg(feature = "keyring")]
pub use crate::store::keyring::KeyringStore;
#[cfg(feature = "store")]
pub use crate::store::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;
#[cfg(feature = "store")]
pub use crate::store::seal::KeyRing;
#[cfg(feature = "store")]
pub use crate::store::seal::SealingKey;
pub use crate::token::Expiry;
pub use crate::token::IntoToken;
pub use crate::token::Token;
