//! Where tokens come from: the [`TokenSource`](crate::TokenSource) trait, and its implementations.
//!
//! | to get a token from | use |
//! |---|---|
//! | your own async function | [`hook`](fn@crate::hook) |
//! | your own function that blocks | [`hook_blocking`](crate::hook_blocking) |
//! | a command, such as `gh auth token`, or a credential helper | [`CommandToken`](crate::CommandToken) |
//! | a file that another program keeps up to date | [`FileToken`](crate::FileToken) |
//! | an environment variable | [`EnvToken`](crate::EnvToken) |
//! | a value that never changes | [`FixedToken`](crate::FixedToken) |
//! | an OAuth 2.0 server | the module `oauth`, with the feature of that name |
//! | any of these, for an API with a header or a scheme of its own | [`Placement`] around it |
//! | any of these, shared by several processes or kept over a restart | [`Persisted`] in front of it |
//! | something else | your own [`TokenSource`](crate::TokenSource); its docs have a complete example |
//!
//! This folder may import `store` and the folders after it.

pub(crate) mod command;
pub(crate) mod env;
pub(crate) mod file;
pub(crate) mod fixed;
pub(crate) mod hook;
#[cfg(feature = "store")]
pub(crate) mod persisted;
pub(crate) mod placed;
pub(crate) mod reentrancy;
pub(crate) mod source;
pub(crate) mod token_text;

pub use crate::source::command::HelperRequest;
pub use crate::source::hook::Hook;
#[cfg(feature = "store")]
pub use crate::source::persisted::{OnStoreOutage, Persisted, wait_for_exchanges};
pub use crate::source::placed::Placement;
pub use crate::source::source::{Reason, TokenFuture, TokenRequest};
pub use crate::source::token_text::parse as token_from_text;
