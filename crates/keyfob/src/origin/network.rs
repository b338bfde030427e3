//! Which networks an untrusted server may direct this program to (SSRF).
//!
//! A server on the internet that names a URL must not make this program send a request into the user's own network, where that
//! server cannot send one itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;
use url::{Host, Url};

use crate::error::error::{Error, ErrorKind};
use crate::origin::host::is_loopback;
use crate::origin::origin::Origin;

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Public,
    /// A private network, or an address of special use.
    Private,
    /// The link alone, which has the metadata services of clouds.
    LinkLocal,
    Loopback,
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// The network of a URL, as far as its host tells: a name may resolve to any address.
    pub(crate) fn of_host(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Ipv4(address) => Some(Self::of(address.into())),
            Host::Ipv6(address) => Some(Self::of(address.into())),
            host => is_loopback(&host).then_some(Self::Loopback),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, third, _] = address.octets();
        match (first, second, third) {
            // "This network": a connection to 0.0.0.0 reaches this machine.
            (0 | 127, ..) => Self::Loopback,
            (169, 254, _) => Self::LinkLocal,
            (10, ..) | (172, 16..=31, _) | (192, 168, _) => Self::Private,
            // Shared by the customers of a provider (RFC 6598), protocol assignments, benchmarks.
            (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) => Self::Private,
            // Multicast, reserved, broadcast.
            (224.., ..) => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [a, b, c, d, e, f, g, h] = address.segments();
        let v4 = |high: u16, low: u16| {
            Self::of_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        };
        match (a, b) {
            _ if address.is_loopback() || address.is_unspecified() => Self::Loopback,
            // Prefixes that hold an IPv4 address: compatible (RFC 4291), NAT64 (RFC 6052, 8215), 6to4 (RFC 3056).
            (0, 0) if [c, d, e, f] == [0; 4] => v4(g, h),
            (0x64, 0xff9b) => v4(g, h),
            (0x2002, _) => v4(b, c),
            (0xfe80..=0xfebf, _) => Self::LinkLocal,
            // Unique local, site-local, multicast.
            (0xfc00..=0xfdff | 0xfec0..=0xfeff | 0xff00.., _) => Self::Private,
            _ => Self::Public,
        }
    }

    /// Whether a server in this network may direct this program to an address in another one.
    pub(crate) fn may_name(self, other: Self) -> bool {
        other == Self::Public || other == self
    }

    /// The addresses of a host, all of which a server in this network may name.
    async fn addresses(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let found = lookup_host((host, port)).await;
        let found = found.map_err(|cause| {
            Error::unavailable("the host name cannot be resolved").caused_by(cause)
        })?;
        // One address that may not be named is enough: an honest name has none, and the next lookup may bring it first.
        let found: Vec<_> = found.collect();
        match found
            .iter()
            .all(|address| self.may_name(Self::of(address.ip())))
        {
            true => Ok(found),
            false => Err(self.not_from_here(host)),
        }
    }

    /// Fails if a server in this network may not name this URL. A name that cannot be resolved is not judged.
    pub(crate) async fn check(self, url: &Url) -> Result<(), Error> {
        if let Some(other) = Self::of_host(url) {
            return match self.may_name(other) {
                true => Ok(()),
                false => Err(self.not_from_here(url.host_str().unwrap_or_default())),
            };
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Origin::from_url(url).map(drop);
        };
        match self.addresses(host, port).await {
            Err(error) if error.kind() != ErrorKind::Origin => Ok(()),
            checked => checked.map(drop),
        }
    }

    fn not_from_here(self, host: &str) -> Error {
        let here = match self {
            Self::Public => "on the internet",
            Self::Private => "in a private network",
            Self::LinkLocal => "on the local link",
            Self::Loopback => "on this machine",
        };
        Error::origin(format!(
            "a server {here} names {host}, which is in another network that is not public, so nothing is sent there"
        ))
    }
}

/// A resolver for requests to hosts that a server in this network named.
///
/// The check is made for each connection, because a name server may answer differently the next time.
#[derive(Debug)]
pub(crate) struct AddressesFrom(pub(crate) Network);

impl Resolve for AddressesFrom {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.0;
        Box::pin(async move {
            // The client sets the port of the URL.
            let addresses = network.addresses(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

impl AddressesFrom {
    pub(crate) fn shared(network: Network) -> Arc<Self> {
        Arc::new(Self(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_recognized_in_every_form() {
        for (address, network) in [
            ("93.184.216.34", Network::Public),
            ("2606:2800:220:1::1", Network::Public),
            ("10.0.0.1", Network::Private),
            ("172.16.0.1", Network::Private),
            ("172.32.0.1", Network::Public),
            ("192.168.1.1", Network::Private),
            ("100.64.0.1", Network::Private),
            ("198.18.0.1", Network::Private),
            ("224.0.0.1", Network::Private),
            ("255.255.255.255", Network::Private),
            ("169.254.169.254", Network::LinkLocal),
            ("127.8.8.8", Network::Loopback),
            ("0.0.0.0", Network::Loopback),
            ("::", Network::Loopback),
            ("::1", Network::Loopback),
            ("::ffff:10.0.0.1", Network::Private),
            ("::ffff:169.254.169.254", Network::LinkLocal),
            ("::127.0.0.1", Network::Loopback),
            ("64:ff9b::10.0.0.1", Network::Private),
            ("64:ff9b:1::169.254.169.254", Network::LinkLocal),
            ("64:ff9b::8.8.8.8", Network::Public),
            ("2002:a00:1::1", Network::Private),
            ("fe80::1", Network::LinkLocal),
            ("fd00::1", Network::Private),
            ("fec0::1", Network::Private),
            ("ff02::1", Network::Private),
        ] {
            assert_eq!(Network::of(address.parse().unwrap()), network, "{address}");
        }
    }

    #[test]
    fn a_server_names_public_addresses_and_those_of_its_own_network() {
        use Network::{LinkLocal, Loopback, Private, Public};
        for from in [Public, Private, LinkLocal, Loopback] {
            for to in [Public, Private, LinkLocal, Loopback] {
                assert_eq!(from.may_name(to), to == Public || to == from);
            }
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_the_addresses_that_it_resolves_to() {
        // Every machine resolves this name, in its hosts file, to loopback addresses.
        let public = Network::Public.addresses("localhost", 80).await;
        assert_eq!(public.unwrap_err().kind(), ErrorKind::Origin);
        assert!(Network::Loopback.addresses("localhost", 80).await.is_ok());
        for url in [
            "https://localhost/",
            "https://a.localhost/",
            "https://10.1/",
            "https://[::1]/",
        ] {
            let error = Network::Public.check(&url.parse().unwrap()).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Origin, "{url}");
        }
        let nowhere = "https://nowhere.invalid/".parse().unwrap();
        assert!(Network::Public.check(&nowhere).await.is_ok());
    }
}
