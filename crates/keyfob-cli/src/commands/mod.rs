//! The subcommands, one file each; a subcommand of several parts has a folder of the same name.

pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod forget;
pub(crate) mod helper;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod profile;
pub(crate) mod proxy;
pub(crate) mod request;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod token;
