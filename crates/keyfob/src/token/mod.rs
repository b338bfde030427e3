//! A token, its secret text, and the schedule by which it is renewed.
//!
//! [`Token`](crate::Token) and [`Expiry`](crate::Expiry) are at the root of the crate. Here is [`IntoToken`], what a hook
//! may return: the text alone, with a lifetime, with a time of expiry, or a whole token.
//!
//! ```
//! use std::time::Duration;
//!
//! use keyfob::Expiry;
//! use keyfob::token::IntoToken;
//!
//! let token = ("mF_9.B5f-4.1JqM", Duration::from_secs(300)).into_token()?;
//! assert_eq!(token.expires(), Expiry::In(Duration::from_secs(300)));
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! # When a token is renewed
//!
//! | the token is | from | what happens |
//! |---|---|---|
//! | fresh | its arrival | it is sent |
//! | due | 67 to 75 % of its lifetime | it is sent, and one renewal runs in the background |
//! | in its leeway | 20 s before it expires, or a tenth of its lifetime if that is less | callers wait for the renewal |
//! | expired | its expiry | it is never sent |
//!
//! The time at which a token is due is drawn at random, so that many processes do not renew at the same moment.
//! If a renewal fails, the token is sent until it expires (T3). Without a known lifetime, a token is due 60 s before it
//! expires. Without an expiry, it is sent until a server rejects it, or for the cache's default lifetime (T5).
//!
//! Time is measured from the moment at which the source was asked, on a monotonic clock, so that neither a slow source nor
//! a wall clock that is set makes a token look younger than it is (T4, T6).
//!
//! This folder may import only `error`.

pub(crate) mod freshness;
pub(crate) mod into_token;
pub(crate) mod json;
pub(crate) mod jwt;
pub(crate) mod new_refresh_token;
#[cfg(any(feature = "oauth", all(feature = "session", feature = "rustls")))]
pub(crate) mod private_key;
pub(crate) mod secret;
pub(crate) mod secret_file;
pub(crate) mod token;

pub use crate::token::into_token::IntoToken;
