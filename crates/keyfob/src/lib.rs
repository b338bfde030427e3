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
//! | `oauth` | no | module `oauth`: tokens from OAuth 2.0 servers, and proof of possession |
//! | `store` | yes | [`Persisted`] with [`FileStore`] and [`MemoryStore`]: one token for many processes |
//! | `redis` | no | [`RedisStore`]: one token for many machines |
//! | `keyring` | no | [`KeyringStore`]: the keyring of the system, for tokens and for secrets that profiles name |
//! | `profiles` | no | [`Profiles`]: sessions by name, from a `keyfob.toml`; with `oauth`, `redis` and `store` |
//! | `tower` | no | `AuthenticationLayer` over any HTTP service |
//! | `middleware` | no | `AuthenticationMiddleware` for `reqwest-middleware` clients |
//! | `tokio` | with `session` | renewals run on the caller's tokio runtime, where there is one |
//! | `metrics` | no | figures through the `metrics` facade |
//!
//! Without any, [`TokenCache`], the sources and module [`custom_client`] remain, and need neither HTTP client nor runtime.
//!
//! # Where to look next
//!
//! * Where tokens come from: [`TokenSource`], [`hook`](fn@hook), [`hook_blocking`], [`CommandToken`], [`FileToken`], [`EnvToken`].
//! * Tokens from OAuth 2.0 servers: module `oauth`, with the feature of that name.
//! * When a token is renewed, and who waits for it: [`TokenCache`]; how it stands: [`Status`].
//! * What is retried: [`RetryPolicy`].
//! * What can go wrong: [`ErrorKind`], and [`Error::is_timeout`].
//! * A face of your own, or another language: [`custom_client`].
//!
//! The crates whose types stand in this API are re-exported: [`http`], `reqwest` with the feature `session`, and `redis`
//! with that of its name.

#![forbid(unsafe_code)]

#[cfg(feature = "session")]
pub mod authentication;
pub mod cache;
mod client;
pub mod clock;
pub mod error;
pub mod exchange;
#[cfg(feature = "oauth")]
pub mod oauth;
mod observe;
pub mod origin;
#[cfg(all(
    doctest,
    feature = "blocking",
    feature = "middleware",
    feature = "profiles",
    feature = "tower"
))]
mod pages;
#[cfg(feature = "profiles")]
pub mod profile;
pub mod runtime;
pub mod source;
#[cfg(feature = "store")]
pub mod store;
pub mod token;

pub use http;
#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "session")]
pub use reqwest;

pub use crate::cache::cache::TokenCache;
#[cfg(feature = "blocking")]
pub use crate::client::blocking;
pub use crate::client::custom_client;
#[cfg(feature = "middleware")]
pub use crate::client::middleware;
#[cfg(feature = "session")]
pub use crate::client::session;
#[cfg(feature = "session")]
pub use crate::client::session::session::Session;
#[cfg(feature = "tower")]
pub use crate::client::tower;
pub use crate::error::error::{Error, ErrorKind};
pub use crate::exchange::retry::RetryPolicy;
pub use crate::origin::origin::Origin;
#[cfg(feature = "profiles")]
pub use crate::profile::profile::{Profile, Profiles};
pub use crate::source::command::CommandToken;
pub use crate::source::env::EnvToken;
pub use crate::source::file::FileToken;
pub use crate::source::fixed::FixedToken;
pub use crate::source::hook::{hook, hook_blocking};
pub use crate::source::source::TokenSource;
pub use crate::token::token::{Expiry, Token};
