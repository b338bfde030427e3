//! Where a proxy accepts connections: a unix socket, a TCP address, or a socket from systemd (P3).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use crate::client::proxy::listener::unix_socket::{LocalSocket, UnixStream};
use crate::error::error::Error;

#[cfg(unix)]
pub(crate) mod inherited;
#[cfg(unix)]
mod unix_socket;

/// In place of unix sockets, on a system where tokio has none.
#[cfg(not(unix))]
mod unix_socket {
    use std::io;
    use std::path::PathBuf;

    use crate::error::error::Error;

    /// A unix socket, of which there is none.
    #[derive(Debug)]
    pub(super) enum LocalSocket {}

    /// A connection, of which there is none either.
    pub(super) type UnixStream = tokio::io::Empty;

    impl LocalSocket {
        pub(super) fn bind(_: PathBuf) -> Result<Self, Error> {
            Err(Error::input(
                "this system has no unix sockets; listen at a port of 127.0.0.1",
            ))
        }

        #[expect(
            clippy::unused_async,
            reason = "it has the signature of that for a system with unix sockets"
        )]
        pub(super) async fn accept(&self) -> io::Result<(UnixStream, u32)> {
            match *self {}
        }
    }
}

/// A socket at which connections are accepted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), keyfob::Error> {
/// use keyfob::proxy::{Listener, ListenAddress};
///
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// let ListenAddress::Tcp(address) = listener.address() else { panic!("it listens at a TCP address") };
/// assert_ne!(address.port(), 0, "the system has chosen a port");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: ListenAddress,
    name: Arc<str>,
}

/// Where a [`Listener`] listens. As text, it is an absolute path or `IP:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// A unix socket at this path.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A process of this user on this machine, as the kernel reports it.
    User(u32),
    /// The address of a TCP connection.
    Address(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[derive(Debug)]
enum Socket {
    Unix(LocalSocket),
    Tcp(TcpListener),
}

/// A connection that was accepted.
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// Listens at a unix socket, or at a TCP address of this machine. Needs a tokio runtime.
    ///
    /// The socket file is readable and writable by this user only. Its directory is made if it is missing, and must belong to this
    /// user and not be writable by others. A file that a dead process left is replaced. The file is removed when the listener is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the path or port cannot be used, if another process listens there, or if the
    /// address is not one of this machine's loopback addresses.
    pub fn bind(address: &ListenAddress) -> Result<Self, Error> {
        match address {
            ListenAddress::Tcp(address) if !address.ip().is_loopback() => {
                Err(Error::input(format!(
                    "{address} can be reached from other machines, and what clients send there is not encrypted; listen at 127.0.0.1 \
                     or [::1], or allow it explicitly"
                )))
            }
            _ => Self::bind_anywhere(address),
        }
    }

    /// As [`bind`](Self::bind), but also at addresses that other machines can reach.
    ///
    /// What clients send there, their secrets too, passes the network without encryption.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), except for the address.
    pub fn bind_anywhere(address: &ListenAddress) -> Result<Self, Error> {
        match address {
            ListenAddress::Unix(path) => {
                let socket = Socket::Unix(LocalSocket::bind(path.clone())?);
                Ok(Self::new(socket, address.clone()))
            }
            ListenAddress::Tcp(address) => {
                let unusable = |error: io::Error| tcp_error(*address, error);
                let socket = std::net::TcpListener::bind(address).map_err(unusable)?;
                Self::from_tcp(socket).map_err(unusable)
            }
        }
    }

    /// Listens with a TCP socket that is bound already.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    pub fn from_tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let address = ListenAddress::Tcp(socket.local_addr()?);
        Ok(Self::new(
            Socket::Tcp(TcpListener::from_std(socket)?),
            address,
        ))
    }

    fn new(socket: Socket, address: ListenAddress) -> Self {
        Self {
            socket,
            name: address.to_string().into(),
            address,
        }
    }

    /// Where it listens. A port is the one that the system has chosen.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The address as text, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The port of a TCP socket.
    pub(crate) fn port(&self) -> Option<u16> {
        match &self.address {
            ListenAddress::Unix(_) => None,
            ListenAddress::Tcp(address) => Some(address.port()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match &self.socket {
            Socket::Unix(socket) => {
                let (stream, user) = socket.accept().await?;
                Ok((Stream::Unix(stream), Peer::User(user)))
            }
            Socket::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                // A small response must not wait until the client has acknowledged an earlier one.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Address(address)))
            }
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port
                .parse()
                .ok()
                .map(|port| (IpAddr::from(Ipv4Addr::LOCALHOST), port).into()),
            None => text.parse().ok(),
        };
        address.map(Self::Tcp).ok_or_else(|| {
            Error::input("a proxy listens at an address with a port, such as 127.0.0.1:8125, or at the absolute path of a unix socket")
        })
    }
}

fn tcp_error(address: SocketAddr, error: io::Error) -> Error {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "is in use by another program; choose another port, or 0 for any that is free"
        }
        io::ErrorKind::AddrNotAvailable => "is no address of this machine",
        io::ErrorKind::PermissionDenied => "may not be used by this user; choose a port above 1023",
        _ => "cannot be used",
    };
    Error::input(format!("{address} {problem}")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<ListenAddress, Error> {
        text.parse()
    }

    #[test]
    fn an_address_is_a_path_or_a_port_of_an_ip_address() {
        for text in ["/run/keyfob/proxy.sock", "127.0.0.1:8125", "[::1]:0"] {
            assert_eq!(address(text).unwrap().to_string(), text);
        }
        assert_eq!(address("localhost:1").unwrap().to_string(), "127.0.0.1:1");
        for text in [
            "",
            "8125",
            "proxy.sock",
            "example.com:80",
            "127.0.0.1",
            "localhost:x",
            "127.0.0.1:65536",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn p3_only_loopback_addresses_are_listened_at_unless_allowed() {
        for text in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let error = Listener::bind(&address(text).unwrap())
                .unwrap_err()
                .to_string();
            assert!(error.contains("other machines"), "{error}");
        }
        assert!(Listener::bind(&address("127.0.0.2:0").unwrap()).is_ok());
        assert!(Listener::bind_anywhere(&address("0.0.0.0:0").unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_port_in_use_is_reported_with_advice() {
        let first = Listener::bind(&address("127.0.0.1:0").unwrap()).unwrap();
        assert_ne!(first.port(), Some(0));
        let error = Listener::bind(first.address()).unwrap_err().to_string();
        assert!(
            error.contains("in use") && error.contains(first.name()),
            "{error}"
        );
    }
}
