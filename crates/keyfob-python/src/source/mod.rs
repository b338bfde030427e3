//! Sources of tokens: the library's own, profiles, chains of sources, and the user's hook.

pub(crate) mod grant;
pub(crate) mod hook;
pub(crate) mod http_token;
pub(crate) mod placement;
pub(crate) mod reentrancy;
pub(crate) mod remade;
pub(crate) mod signed_jwt;
pub(crate) mod source;
pub(crate) mod transport;
