//! HTTP sessions that stay authenticated.
//!
//! Use keyfob if your program calls an API with a token that another system issues and that expires: a vault, an identity
//! provider, a command such as `gh auth token`, a file that another program rotates.
//!
//! keyfob fetches the token and renews it before it expires, once for all callers. It sends the token only to the origins
//! that you name. It retries requests where that is safe, and never prints a secret.
//!
//! # Where things are
//!
//! | you want | look at |
//! |---|---|
//! | to send requests | [`Session`](session), [`blocking`], [`tower`], [`middleware`] |
//! | to put a token on the requests of other programs | [`proxy`] |
//! | a token | [`hook`](fn@hook), [`hook_blocking`], [`CommandToken`], [`FileToken`], [`EnvToken`], [`oauth`], [`source`] |
//! | one token for many processes or machines | [`store`], [`source::Persisted`] |
//! | a token for each of many users | [`TokenPool`] |
//! | sessions by name, from a file | [`Profiles`] |
//! | to know when a token is renewed and who waits | [`TokenCache`], [`cache::Status`] |
//! | to know what is retried | [`RetryPolicy`] |
//! | to know what can go wrong | [`ErrorKind`], [`Error::is_timeout`] |
//! | to test your program | [`clock`], and the crate `keyfob-testkit` |
//! | to put keyfob into another HTTP client | [`custom_client`], [`exchange`] |
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
//! // A POST is sent only once if the server may have seen it, unless you mark it idempotent.
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
//! # A token from your own function
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
//! // Sessions that are made with clones of `tokens` share the token. It also works without a session:
//! let headers = tokens.lease_blocking(Some(Duration::from_secs(10)))?.headers().to_vec();
//! assert_eq!(headers[0].0, keyfob::http::header::AUTHORIZATION);
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! # A token from a command
//!
//! ```no_run
//! use std::time::Duration;
//! use keyfob::{CommandToken, TokenCache};
//!
//! let gh = CommandToken::new(["gh", "auth", "token"])?.timeout(Duration::from_secs(10));
//! let tokens = TokenCache::builder(gh)
//!     .default_lifetime(Duration::from_secs(3600))
//!     .build()?;
//! println!("the token has {} characters", tokens.get_valid_token_blocking()?.expose().len());
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `session` | yes | the async `Session` over `reqwest`, and module [`authentication`] |
//! | `blocking` | yes | the blocking session |
//! | `store` | yes | [`source::Persisted`] with stores in memory and in files |
//! | `rustls`, `http2`, `charset`, `system-proxy` | yes | features of `reqwest` |
//! | `cookies`, `gzip`, `socks` | no | features of `reqwest` |
//! | `oauth` | no | tokens from OAuth 2.0 servers, and proof of possession (DPoP), with `session` and `rustls` |
//! | `redis` | no | a store that many machines share |
//! | `keyring` | no | the system's keyring, as a store and for secrets that profiles name |
//! | `postgres` | no | a store that many machines share, in a table of a database |
//! | `profiles` | no | [`Profiles`], with `oauth`, `postgres`, `redis` and `store` |
//! | `tower` | no | a layer for any HTTP service |
//! | `middleware` | no | a middleware for `reqwest-middleware` clients |
//! | `proxy` | no | a reverse proxy to put into a service, with `pool`, `session` and `tower` |
//! | `tokio` | with `session` | renewals run on the caller's tokio runtime, if there is one |
//! | `pool` | no | [`TokenPool`], a token for each of many users |
//! | `metrics` | no | counters and histograms through the `metrics` facade |
//!
//! Without any feature, [`TokenCache`], the sources and [`custom_client`] remain. They need no HTTP client and no async
//! runtime.
//!
//! Crates whose types are part of this API are re-exported: [`http`], [`url`], `reqwest` (feature `session`) and `redis`
//! (feature `redis`).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(
        feature = "profiles",
        feature = "blocking",
        feature = "middleware",
        feature = "pool",
        feature = "postgres",
        feature = "redis",
        feature = "tower"
    )),
    allow(
        dead_code,
        unused_macros,
        unused_imports,
        reason = "only an interface that is left out may use it; the build with all features finds dead code"
    )
)]

#[cfg(feature = "session")]
pub mod authentication;
pub mod cache;
mod client;
pub mod clock;
pub mod error;
pub mod exchange;
#[doc(hidden)]
#[cfg(all(
    feature = "profiles",
    feature = "proxy",
    keyfob_repository,
    any(test, keyfob_fuzzing)
))]
#[path = "../../../fuzz/targets.rs"]
pub mod fuzzing;
#[cfg(feature = "oauth")]
pub mod oauth;
mod observe;
pub mod origin;
#[cfg(all(doctest, keyfob_repository))]
#[path = "../pages.rs"]
mod pages;
#[cfg(feature = "pool")]
pub mod pool;
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
pub use url;

pub use crate::cache::cache::TokenCache;
#[cfg(feature = "blocking")]
pub use crate::client::blocking;
pub use crate::client::custom_client;
#[cfg(feature = "middleware")]
pub use crate::client::middleware;
#[cfg(feature = "proxy")]
pub use crate::client::proxy;
#[cfg(feature = "tower")]
pub use crate::client::tower;
pub use crate::error::error::Error;
pub use crate::error::kind::ErrorKind;
pub use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "oauth")]
pub use crate::oauth::{
    http_token::{HttpToken, builder::HttpTokenBuilder},
    signed_jwt::SignedJwt,
};
#[cfg(all(feature = "session", feature = "rustls"))]
pub use crate::origin::client_certificate::ClientCertificate;
pub use crate::origin::origin::Origin;
#[cfg(feature = "pool")]
pub use crate::pool::pool::TokenPool;
#[cfg(feature = "profiles")]
pub use crate::profile::profile::{Profile, Profiles};
pub use crate::source::command::CommandToken;
pub use crate::source::env::EnvToken;
pub use crate::source::file::FileToken;
pub use crate::source::fixed::FixedToken;
pub use crate::source::hook::{hook, hook_blocking};
pub use crate::source::source::TokenSource;
pub use crate::token::token::{Expiry, Token};
#[cfg(feature = "session")]
pub use {
    crate::client::session::{self, session::Session},
    reqwest,
};
