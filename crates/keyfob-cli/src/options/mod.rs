//! Options that several subcommands share.

pub(crate) mod profile;
pub(crate) mod sign_in;
pub(crate) mod token;
