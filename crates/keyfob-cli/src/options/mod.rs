//! Options that several subcommands share.

pub(crate) mod min_valid;
pub(crate) mod profile;
pub(crate) mod sign_in;
pub(crate) mod token;
