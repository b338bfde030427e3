//! What went wrong, why, and what to do about it.
//!
//! [`Error`](crate::Error) and [`ErrorKind`](crate::ErrorKind) are at the root of the crate. Here is [`BoxError`], which
//! hooks and callbacks return, [`FailedStep`], [`printable`], which makes text from outside safe to show, and the contract of all
//! errors:
//!
//! * `Display` is one sentence for a person, about this layer only. The cause is in `source()`.
//! * No error contains a token, a query, a header value, a response body or the output of a command (S1, S3).
//! * Text from outside, such as the error text of a server, is [`printable`] in errors and in log events.
//! * A program decides by [`kind`](crate::Error::kind), never by the text.
//!
//! ```
//! use keyfob::{Error, ErrorKind};
//!
//! fn advice(error: &Error) -> &'static str {
//!     match error.kind() {
//!         ErrorKind::Refused => "sign in again",
//!         ErrorKind::Unavailable | ErrorKind::Deadline => "try again later",
//!         ErrorKind::Input | ErrorKind::Origin => "correct the request",
//!         _ => "ask for help",
//!     }
//! }
//! # assert_eq!(advice(&Error::refused("invalid_grant")), "sign in again");
//! ```
//!
//! Other libraries wrap errors in their own. [`Error::find`](crate::Error::find) gets keyfob's error back:
//!
//! ```
//! use std::io;
//!
//! use keyfob::Error;
//!
//! let wrapped = io::Error::other(Error::refused("the refresh token has been revoked"));
//! let error = Error::find(&wrapped).expect("it is one of the causes");
//! assert_eq!(error.to_string(), "the refresh token has been revoked");
//! ```
//!
//! This folder imports no other.

pub(crate) mod error;
pub(crate) mod kind;
pub(crate) mod printable;
pub(crate) mod shown_duration;
pub(crate) mod shown_name;

pub use crate::error::error::BoxError;
pub use crate::error::kind::FailedStep;
pub use crate::error::printable::{printable, printable_lines};
pub use crate::error::shown_name::shown_name;
