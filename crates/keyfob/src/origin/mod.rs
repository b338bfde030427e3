//! Where a credential may go: a scheme, a host and a port.
//!
//! Every interface checks the URL of each request against its [`Origins`] before it adds the credential (R1).
//! An interface of your own does the same:
//!
//! ```
//! use keyfob::origin::Origins;
//!
//! let mut origins = Origins::default();
//! origins.bind("https://api.example.com".parse()?);
//! assert!(origins.check(&"https://api.example.com/v1/reports".parse()?).is_ok());
//! assert!(origins.check(&"https://evil.example".parse()?).is_err());
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! This folder may import only `token` and `error`.

pub(crate) mod builder;
pub(crate) mod origin;
#[cfg(feature = "tower")]
pub(crate) mod uri;

pub use crate::origin::builder::OriginsBuilder;
pub use crate::origin::origin::Origins;
