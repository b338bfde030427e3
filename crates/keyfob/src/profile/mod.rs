//! Sessions by name, from a file: `keyfob.toml`.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod dpop;
pub(crate) mod errors;
pub(crate) mod expiring_store;
pub(crate) mod file;
pub(crate) mod grant;
pub(crate) mod header_placement;
#[cfg(feature = "keyring")]
pub(crate) mod keyring;
pub(crate) mod lazy_store;
#[cfg(not(feature = "keyring"))]
pub(crate) mod no_keyring;
pub(crate) mod profile;
pub(crate) mod schema;
pub(crate) mod secret_ref;
pub(crate) mod secret_source;
pub(crate) mod select;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod table;

pub use crate::profile::check::Finding;
pub use crate::profile::sign_in::SignIn;
