//! Where a credential may go: a scheme, a host and a port.
//!
//! Every interface checks the URL of each request against its [`Origins`] before it adds the credential (R1):
//!
//! * A credential that is bound to origins goes to these and to no other.
//! * A credential without a binding goes to any https origin that the caller itself names. The builders require a binding,
//!   unless they are told to allow any https origin.
//! * Plain http is refused, except to this machine, or to an origin for which it was allowed explicitly.
//! * A redirect to another origin is followed without the credential.
//!
//! An interface of your own collects origins with [`OriginsBuilder`] and checks them in the same way:
//!
//! ```
//! use keyfob::ErrorKind;
//! use keyfob::origin::OriginsBuilder;
//!
//! let mut builder = OriginsBuilder::default();
//! builder.bind("https://api.example.com".parse());
//! builder.bind("http://127.0.0.1:8080".parse());
//! let origins = builder.into_origins()?;
//!
//! assert!(origins.check(&"https://api.example.com/v1/reports".parse()?).is_ok());
//! let error = origins.check(&"https://evil.example".parse()?).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Origin);
//! # Ok::<(), keyfob::Error>(())
//! ```
//!
//! The host is compared in its normal form, so `https://API.example.com:443` and `https://api.example.com` are the same
//! origin. A subdomain is another origin.
//!
//! This machine is any loopback address, and `localhost` and any name below it (RFC 6761 §6.3) where keyfob knows that the
//! client resolves them to loopback addresses: in the sessions, and in a client of your own after
//! [`Origins::pin_local_names`]. Elsewhere a name server could send the credential to another machine.
//!
//! This folder may import only `token` and `error`.

pub(crate) mod builder;
#[cfg(feature = "session")]
pub(crate) mod ca_file;
#[cfg(feature = "session")]
pub(crate) mod certified_client;
#[cfg(all(feature = "session", feature = "rustls"))]
pub(crate) mod client_certificate;
pub(crate) mod host;
#[cfg(feature = "session")]
pub(crate) mod loopback;
#[cfg(any(feature = "oauth", feature = "proxy"))]
pub(crate) mod network;
pub(crate) mod origin;
pub(crate) mod uri;

pub use crate::origin::builder::OriginsBuilder;
pub use crate::origin::origin::Origins;
