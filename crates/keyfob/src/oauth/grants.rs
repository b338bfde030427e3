//! The grants of OAuth 2.0. Each is a token source.

pub(crate) mod client_credentials;
pub(crate) mod custom_grant;
pub(crate) mod jwt_bearer;
pub(crate) mod options;
pub(crate) mod refresh_token;
pub(crate) mod smart_backend_services;
#[cfg(feature = "store")]
pub(crate) mod store_keys;
pub(crate) mod token_exchange;
