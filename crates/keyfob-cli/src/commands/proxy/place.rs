//! Addresses and times as arguments, and the default socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use keyfob::proxy::ListenAddress;
use keyfob::store::FileStore;

use crate::output::error::CliError;

/// A TCP address.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(ListenAddress::Tcp(address)) => Ok(address),
        _ => Err("give an IP address and a port, such as 127.0.0.1:8125".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| "give a time in seconds, such as 30".to_owned())
}

/// The socket of a proxy that is given no address: where the sockets of this user are, or else where its state is.
pub(super) fn default_socket() -> Result<PathBuf, CliError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let directory = match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("keyfob"),
        None => FileStore::default_directory().map_err(|_| {
            CliError::usage("there is no directory for the socket; set XDG_RUNTIME_DIR or HOME, or give --socket")
        })?,
    };
    Ok(directory.join("proxy.sock"))
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
