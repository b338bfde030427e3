//! What went wrong, and what the user can do about it. Imports no other folder.

pub(crate) mod causes;
pub(crate) mod error;

pub use crate::error::error::BoxError;
