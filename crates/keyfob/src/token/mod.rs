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
//! This folder may import only `error`.

pub(crate) mod freshness;
pub(crate) mod jwt;
pub(crate) mod secret;
pub(crate) mod token;

pub use crate::token::token::IntoToken;
