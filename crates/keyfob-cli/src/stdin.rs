//! Reads standard input.

use std::io::{Read, stdin};

use crate::output::error::CliError;

/// All of standard input, on a thread for blocking work, because it may be a pipe. `what` is for the error.
///
/// Bytes that are not UTF-8 become U+FFFD, which no token and no host has.
pub(crate) async fn read_stdin(what: &str) -> Result<String, CliError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        let read = stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let unreadable = format!("{what} cannot be read from standard input");
    let bytes = read
        .await
        .map_err(|error| CliError::failed(&unreadable, &error))?
        .map_err(|error| CliError::failed(&unreadable, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!(
            "{what} on standard input is longer than 1 MiB"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const MAX_BYTES: u64 = 1024 * 1024;
