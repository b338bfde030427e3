//! Where a credential may go: a scheme, a host and a port. Imports `error`.

pub(crate) mod builder;
pub(crate) mod origin;
#[cfg(feature = "tower")]
pub(crate) mod uri;

pub use crate::origin::builder::OriginsBuilder;
pub use crate::origin::origin::Origins;
