//! HTTP sessions that stay authenticated.

mod error;
mod origin;
mod secret;
mod token;

pub use crate::error::BoxError;
pub use crate::error::Error;
pub use crate::error::ErrorKind;
pub use crate::origin::Origin;
pub use crate::token::Expiry;
pub use crate::token::IntoToken;
pub use crate::token::Token;
