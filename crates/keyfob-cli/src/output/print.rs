//! Text on standard output and on standard error.

use std::io::{Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use keyfob::error::printable;

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

/// Prints a message that a person can do without, unless `--quiet` is given.
pub(crate) fn print_notice(text: impl AsRef<[u8]>) {
    if shows_notices() {
        print_stderr(text);
    }
}

/// Prints one line that says what to do next. It goes to standard error, so that the output of a list stays empty.
pub(crate) fn print_hint(text: impl AsRef<str>) {
    print_notice(format!("keyfob: {}\n", printable(text.as_ref())));
}

/// Whether notices and progress are shown.
pub(crate) fn shows_notices() -> bool {
    !QUIET.load(Ordering::Relaxed)
}

/// Omits notices from here on, for `--quiet`.
pub(crate) fn omit_notices() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Like the log, notices are printed from everywhere, so this is not passed to each command.
static QUIET: AtomicBool = AtomicBool::new(false);
