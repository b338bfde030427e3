//! Sockets that systemd opened before the program started, and messages to systemd about the state of the program.
//!
//! Both protocols are a few environment variables: sd_listen_fds(3) and sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use listenfd::ListenFd;

use crate::client::proxy::listener::unix_socket::LocalSocket;
use crate::client::proxy::listener::{ListenAddress, Listener, Socket};
use crate::error::error::Error;

impl Listener {
    /// Listens with a unix socket that is bound already. Who may connect is up to its file, and to [`Admission`].
    ///
    /// [`Admission`]: crate::proxy::Admission
    ///
    /// # Errors
    ///
    /// Any error of the system.
    pub fn from_unix(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let path = address.as_pathname().map(PathBuf::from).unwrap_or_default();
        let socket = Socket::Unix(LocalSocket::from_std(socket)?);
        Ok(Self::new(socket, ListenAddress::Unix(path)))
    }

    /// The sockets that systemd has passed on, with their names; none if the program was not started by a socket unit.
    ///
    /// The name is that of `FileDescriptorName=` in the unit, or of the unit itself. The sockets can be taken once. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if one is neither a unix stream socket nor a TCP socket that listens.
    pub fn inherited() -> Result<Vec<(String, Self)>, Error> {
        // Read first, because the other variables are removed when they are read.
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = ListenFd::from_env();
        let mut listeners = Vec::new();
        for index in 0..sockets.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let listener = take(&mut sockets, index).map_err(|error| {
                let shown = if name.is_empty() { "without a name" } else { &name };
                Error::input(format!(
                    "the socket {shown} from systemd cannot be used; give it `ListenStream=` with a path or a port"
                ))
                .caused_by(error)
            })?;
            listeners.push((name, listener));
        }
        Ok(listeners)
    }
}

fn take(sockets: &mut ListenFd, index: usize) -> io::Result<Listener> {
    if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
        return Listener::from_unix(socket);
    }
    match sockets.take_tcp_listener(index)? {
        Some(socket) => Listener::from_tcp(socket),
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// What systemd is told about this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceState {
    /// It accepts connections.
    Ready,
    /// It reads its configuration again, since this time of the monotonic clock. [`Ready`](Self::Ready) has to follow.
    Reloading(Duration),
    /// It accepts no more connections and ends soon.
    Stopping,
}

/// Tells systemd the state of this program. Does nothing if another program started it.
///
/// See sd_notify(3). A message that cannot be sent is dropped, because a service manager that is gone must not end the service.
pub fn notify(state: ServiceState) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let message = match state {
        ServiceState::Ready => "READY=1".to_owned(),
        ServiceState::Reloading(since) => {
            format!("RELOADING=1\nMONOTONIC_USEC={}", since.as_micros())
        }
        ServiceState::Stopping => "STOPPING=1".to_owned(),
    };
    let _ = send(path.as_encoded_bytes(), message.as_bytes());
}

fn send(path: &[u8], message: &[u8]) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;

    let address = match path {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)?
        }
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    Ok(())
}
