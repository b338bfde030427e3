//! Text on standard output and on standard error.

use std::io::{Write, stderr, stdout};

use crate::output::error::CliError;

/// Prints text as it is.
pub(crate) fn print_stdout(text: impl AsRef<[u8]>) -> Result<(), CliError> {
    let mut stdout = stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(|error| CliError::stdout(&error))
}

/// Prints a message for a person. A closed standard error is not a failure.
pub(crate) fn print_stderr(text: impl AsRef<[u8]>) {
    let _ = stderr().lock().write_all(text.as_ref());
}
