//! Text on standard output and on standard error.

use std::io::{Write, stderr, stdout};

use crate::fault::Fault;

/// Prints text as it is.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<(), Fault> {
    let mut stdout = stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(|fault| Fault::of_stdout(&fault))
}

/// Tells a person; if nobody listens, that is no failure.
pub(crate) fn tell(text: impl AsRef<[u8]>) {
    let _ = stderr().lock().write_all(text.as_ref());
}
