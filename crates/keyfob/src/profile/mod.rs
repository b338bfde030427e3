//! Sessions by name, from a file: `keyfob.toml`.
//!
//! A profile says where a token comes from and which servers it may be sent to, so that programs, scripts and the command line need
//! only its name. The file never holds a secret, only a reference to the place where the secret is.
//!
//! [`Profiles`](crate::Profiles) reads the file, and [`Profile`](crate::Profile) makes the sessions:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use keyfob::Profiles;
//!
//! let session = Profiles::from_default_file()?.get("ehr")?.session()?;
//! let reports = session.get("reports").send().await?;
//! # Ok(())
//! # }
//! ```

pub(crate) mod basic;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod client_certificate;
pub(crate) mod dpop_key;
pub(crate) mod errors;
mod find;
pub(crate) mod grant;
mod http_source;
pub(crate) mod json_schema;
mod jwt_source;
pub(crate) mod key;
pub(crate) mod keyring;
pub(crate) mod lazy_store;
mod link;
mod metadata_files;
mod new_profile;
#[cfg(feature = "pool")]
mod pool;
mod presets;
pub(crate) mod profile;
#[cfg(feature = "proxy")]
mod route;
pub(crate) mod schema;
pub(crate) mod secret_ref;
pub(crate) mod session;
pub(crate) mod set_each;
mod shared_clients;
pub(crate) mod sign_in;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod table;

pub use crate::profile::basic::BasicToken;
pub use crate::profile::check::Finding;
pub use crate::profile::new_profile::{NewProfile, Question};
pub use crate::profile::schema::proxy::{ProxyLimits, ProxyPlace, ProxySettings, RouteSettings};
pub use crate::profile::schema::route_subject::{RoutePool, RouteSubject};
pub use crate::profile::schema::sign_in::SignIn;
