//! Sources of tokens: the library's own, profiles, and the user's hook.

pub(crate) mod hook;
pub(crate) mod placement;
pub(crate) mod profile_source;
pub(crate) mod reentrancy;
pub(crate) mod source;
