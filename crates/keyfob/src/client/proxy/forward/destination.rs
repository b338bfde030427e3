//! Which servers without a credential a program may reach, and to which addresses it is connected.
//!
//! A name is resolved once, each of its addresses is checked, and one of those is connected to. So a name server that answers
//! differently the next time (DNS rebinding) changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Host;

use crate::client::proxy::connector::{Connection, OutboundProxy};
use crate::client::proxy::failure::of_proxy;
use crate::client::proxy::forward::refusal::Refusal;
use crate::client::proxy::forward::target::host_and_port;
use crate::error::error::Error;
use crate::exchange::tunnel::NoTunnel;
use crate::origin::network::Network;
use crate::origin::origin::Origin;

/// The servers that may be reached without a credential. None is, unless it was allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts {
    named: Vec<AllowedHost>,
    others: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AllowedHost {
    host: Host<String>,
    /// Ports 80 and 443 if none was given.
    port: Option<u16>,
}

/// By what right a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// It was named.
    Named,
    /// All servers on the internet are allowed.
    Public,
}

impl AllowedHosts {
    /// Allows `HOST` with the ports of the web, or `HOST:PORT`.
    pub(super) fn allow(&mut self, text: &str) -> Result<(), Error> {
        let odd = || {
            Error::input(
                "an allowed host is a name or an address, such as pypi.org, db.example.com:8443 or [::1]:8080",
            )
        };
        let authority: http::uri::Authority = text.parse().map_err(|_| odd())?;
        let (host, port) = host_and_port(&authority).ok_or_else(odd)?;
        let origin = Origin::from_parts("https", host, None)?;
        self.named.push(AllowedHost {
            host: origin.host().clone(),
            port,
        });
        Ok(())
    }

    /// Allows all servers on the internet.
    pub(super) fn allow_others(&mut self) {
        self.others = true;
    }

    fn right(&self, target: &Origin) -> Option<Right> {
        let is_named = self.named.iter().any(|allowed| {
            let is_port = match allowed.port {
                Some(port) => port == target.port(),
                None => matches!(target.port(), 80 | 443),
            };
            is_port && allowed.host == *target.host()
        });
        match (is_named, self.others) {
            (true, _) => Some(Right::Named),
            (false, true) => Some(Right::Public),
            (false, false) => None,
        }
    }

    /// Connects to a server that may be reached.
    ///
    /// If the environment names a proxy for it, the connection is a tunnel through that. The proxy resolves the name then: the
    /// addresses that this machine knows are checked all the same.
    pub(super) async fn connect(&self, target: &Origin) -> Result<Connection, Refusal> {
        let host = target.host();
        let port = target.port();
        let Some(right) = self.right(target) else {
            return Err(Refusal::forbidden(format!(
                "{host}:{port} is no server of a profile of this run; to reach it without a token, run keyfob with --allow-host {host}:{port}"
            )));
        };
        let unreachable = |why: &str| Refusal::unreachable(format!("{host}:{port} {why}"));
        let proxy = OutboundProxy::of_environment(target)
            .map_err(|error| Refusal::unreachable(error.to_string()))?;
        let addresses = addresses(target).await;
        if let Some(address) = addresses
            .iter()
            .find(|address| !right.covers(address.ip(), host))
        {
            return Err(Refusal::forbidden(format!(
                "{host} has the address {}, {}",
                address.ip(),
                right.why_not(address.ip())
            )));
        }
        match proxy {
            Some(proxy) => {
                proxy
                    .connect(target)
                    .await
                    .map_err(|error| match NoTunnel::find(&*error) {
                        Some(failure) => {
                            unreachable(&format!("cannot be reached: {}", of_proxy(failure)))
                        }
                        None => unreachable("cannot be reached in time"),
                    })
            }
            None if addresses.is_empty() => Err(unreachable("cannot be resolved")),
            None => connect(&addresses)
                .await
                .ok_or_else(|| unreachable("cannot be reached")),
        }
    }
}

impl Right {
    fn covers(self, address: IpAddr, host: &Host<String>) -> bool {
        let is_written_out = match host {
            Host::Ipv4(own) => IpAddr::from(*own) == address,
            Host::Ipv6(own) => IpAddr::from(*own) == address,
            Host::Domain(_) => false,
        };
        match self {
            // Only the address itself allows these, never a name.
            _ if is_metadata(address) || is_no_server(address) => {
                self == Self::Named && is_written_out
            }
            Self::Public => Network::of(address) == Network::Public,
            Self::Named => match Network::of(address) {
                Network::LinkLocal => is_written_out,
                Network::Loopback => is_written_out || crate::origin::host::is_loopback(host),
                Network::Public | Network::Private => true,
            },
        }
    }

    fn why_not(self, address: IpAddr) -> &'static str {
        match self {
            _ if is_metadata(address) || Network::of(address) == Network::LinkLocal => {
                "where the metadata service of a cloud may be; to reach it all the same, name the address itself with --allow-host"
            }
            Self::Public => {
                "which is not on the internet; to reach it all the same, name the host with --allow-host"
            }
            Self::Named => {
                "which is not the network that its name promises; to reach it all the same, name the address itself with --allow-host"
            }
        }
    }
}

/// The metadata services of clouds that are not on the local link.
fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => [
            // Alibaba, Oracle, Azure's host.
            Ipv4Addr::new(100, 100, 100, 200),
            Ipv4Addr::new(192, 0, 0, 192),
            Ipv4Addr::new(168, 63, 129, 16),
        ]
        .contains(&address),
        // Amazon's.
        IpAddr::V6(address) => address.segments()[..2] == [0xfd00, 0xec2],
    }
}

/// Addresses that no single server has.
fn is_no_server(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    address.is_unspecified() || address.is_multicast() || is_broadcast
}

/// The addresses of a server; none if its name cannot be resolved.
async fn addresses(target: &Origin) -> Vec<SocketAddr> {
    let port = target.port();
    let name = match target.host() {
        Host::Ipv4(address) => return vec![(*address, port).into()],
        Host::Ipv6(address) => return vec![(*address, port).into()],
        Host::Domain(name) => name,
    };
    match timeout(CONNECT_TIMEOUT, lookup_host((name.as_str(), port))).await {
        Ok(Ok(found)) => found.collect(),
        _ => Vec::new(),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Option<Connection> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            _ = stream.set_nodelay(true);
            return Some(Connection::Http(TokioIo::new(stream)));
        }
    }
    None
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(right: Right, host: &str, address: &str) -> bool {
        let host = Host::parse(host).unwrap();
        right.covers(address.parse().unwrap(), &host)
    }

    #[test]
    fn p8_a_name_reaches_no_metadata_service_and_nothing_that_it_does_not_promise() {
        for (right, host, address, expected) in [
            (Right::Public, "a.example", "93.184.216.34", true),
            (Right::Public, "a.example", "10.0.0.1", false),
            (Right::Public, "a.example", "127.0.0.1", false),
            (Right::Public, "a.example", "::ffff:127.0.0.1", false),
            (Right::Public, "a.example", "168.63.129.16", false),
            (Right::Named, "a.example", "10.0.0.1", true),
            (Right::Named, "a.example", "127.0.0.1", false),
            (Right::Named, "a.example", "169.254.169.254", false),
            (Right::Named, "a.example", "::ffff:169.254.169.254", false),
            (Right::Named, "a.example", "64:ff9b::a9fe:a9fe", false),
            (Right::Named, "a.example", "fd00:ec2::254", false),
            (Right::Named, "a.example", "fe80::1", false),
            (Right::Named, "a.example", "100.100.100.200", false),
            (Right::Named, "a.example", "192.0.0.192", false),
            (Right::Named, "a.example", "0.0.0.0", false),
            (Right::Named, "a.example", "224.0.0.1", false),
            (Right::Named, "a.example", "ff02::1", false),
            (Right::Named, "localhost", "127.0.0.1", true),
            (Right::Named, "127.0.0.1", "127.0.0.1", true),
            (Right::Named, "[::1]", "::1", true),
            (Right::Named, "169.254.169.254", "169.254.169.254", true),
        ] {
            assert_eq!(
                covers(right, host, address),
                expected,
                "{right:?} {host} {address}"
            );
        }
    }

    #[test]
    fn an_allowed_host_is_a_host_and_perhaps_a_port() {
        let mut allowed = AllowedHosts::default();
        for host in ["Pypi.org", "a.example:8443", "[::1]:80", "127.0.0.1:5000"] {
            allowed.allow(host).unwrap();
        }
        for (url, right) in [
            ("https://pypi.org", Some(Right::Named)),
            ("http://pypi.org", Some(Right::Named)),
            ("https://pypi.org:8443", None),
            ("https://x.pypi.org", None),
            ("https://a.example:8443", Some(Right::Named)),
            ("https://a.example", None),
        ] {
            assert_eq!(allowed.right(&url.parse().unwrap()), right, "{url}");
        }
        for odd in [
            "",
            "a b",
            "https://a.example",
            "a.example:",
            "a:99999",
            "u@a",
            "127.1",
        ] {
            assert!(allowed.allow(odd).is_err(), "{odd}");
        }
    }
}
