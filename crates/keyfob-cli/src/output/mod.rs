//! What scripts and people see: text, errors, exit codes, the log.

pub(crate) mod colours;
pub(crate) mod columns;
pub(crate) mod error;
pub(crate) mod exit_code;
pub(crate) mod help;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod login_command;
pub(crate) mod print;
pub(crate) mod retries;
pub(crate) mod span;
pub(crate) mod spinner;
