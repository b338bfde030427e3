//! What went wrong, why, and what to do about it.
//!
//! [`Error`](crate::Error) and [`ErrorKind`](crate::ErrorKind) are at the root of the crate. Here is [`BoxError`], which
//! hooks and callbacks return, and the contract of all errors:
//!
//! * `Display` is one sentence for a person, about this layer only. The cause is in `source()`.
//! * No error contains a token, a query, a header value, a response body or the output of a command (S1, S3).
//! * A program decides by [`kind`](crate::Error::kind). An error that is wrapped in others is found again:
//!
//! ```
//! use std::io;
//!
//! use keyfob::{Error, ErrorKind};
//!
//! let wrapped = io::Error::other(Error::refused("the refresh token has been revoked"));
//! let error = Error::find(&wrapped).expect("it is in there");
//! if error.kind() == ErrorKind::Refused {
//!     println!("sign in again: {error}");
//! }
//! ```
//!
//! This folder imports no other.

pub(crate) mod error;

pub use crate::error::error::BoxError;
