//! A token, text that is never shown, and when a token is renewed. Imports `error`.

pub(crate) mod freshness;
#[cfg(feature = "store")]
pub(crate) mod parts;
pub(crate) mod secret;
pub(crate) mod token;

pub use crate::token::token::IntoToken;
