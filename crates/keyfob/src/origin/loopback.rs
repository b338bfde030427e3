//! Plain http to this machine stays on it (R1): its names are pinned to loopback addresses, and no proxy gets it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::ready;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::error::error::Error;
use crate::origin::host::is_loopback;
use crate::origin::origin::Origins;

/// A resolver for a client that sends plain http to this machine and nothing else.
///
/// It answers every name with the loopback addresses, because a name server could answer `api.localhost` with any
/// (RFC 6761 §6.3). The port is that of the URL.
#[derive(Debug)]
pub(crate) struct LoopbackAddresses;

impl LoopbackAddresses {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::new(Self)
    }
}

impl Resolve for LoopbackAddresses {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(LOOPBACK.into_iter());
        Box::pin(ready(Ok(addresses)))
    }
}

/// A client that is being built, async or blocking.
pub(crate) trait PinNames: Sized {
    fn resolve_to(self, name: &str, addresses: &[SocketAddr]) -> Self;

    /// Resolves the names of this machine that the credential is bound to, and `localhost`, to loopback addresses.
    fn pin_names(self, origins: &Origins) -> Self {
        origins
            .local_names()
            .fold(self, |client, name| client.resolve_to(name, &LOOPBACK))
    }
}

impl PinNames for reqwest::ClientBuilder {
    fn resolve_to(self, name: &str, addresses: &[SocketAddr]) -> Self {
        self.resolve_to_addrs(name, addresses)
    }
}

/// The proxies of the environment, which a client that was made elsewhere may use.
pub(crate) struct EnvironmentProxies(Matcher);

impl EnvironmentProxies {
    pub(crate) fn read() -> Self {
        Self(Matcher::from_system())
    }

    /// Whether a proxy gets the requests to this URL.
    pub(crate) fn get(&self, url: &Url) -> bool {
        self.of(url).is_some()
    }

    /// The proxy that gets the requests to this URL.
    pub(crate) fn of(&self, url: &Url) -> Option<Intercept> {
        let uri = url.as_str().parse().ok()?;
        self.0.intercept(&uri)
    }

    /// Fails for plain http to this machine if a proxy of the environment would get it, and the credential with it.
    pub(crate) fn refuse(&self, url: &Url) -> Result<(), Error> {
        if !is_plain_loopback(url) || !self.get(url) {
            return Ok(());
        }
        Err(Error::origin(
            "the environment names a proxy for plain http, which would get the credential of a request to this machine; \
             add the host to NO_PROXY, or build the HTTP client with `no_proxy` and say so with `client_uses_no_proxy`",
        ))
    }
}

/// Whether this is plain http to this machine.
pub(crate) fn is_plain_loopback(url: &Url) -> bool {
    url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host))
}

impl fmt::Debug for EnvironmentProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL of a proxy may contain a password.
        f.write_str("EnvironmentProxies")
    }
}

pub(crate) const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];
