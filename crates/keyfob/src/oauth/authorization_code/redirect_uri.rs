//! The redirect URI of a sign-in: a loopback address of this machine (RFC 8252 §7.3).

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Position, Url};

use crate::error::error::Error;
use crate::origin::origin::parse_url;

/// A loopback redirect URI, as it is registered for the client.
#[derive(Clone, Debug)]
pub(crate) struct RedirectUri(Url);

impl RedirectUri {
    /// Reads `http://127.0.0.1/path`, `http://[::1]/path` or `http://localhost/path`, with or without a port.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let uri = Self(parse_url(text)?);
        // `at_port` keeps only the host and the path, so any other part would be lost without notice.
        let has_only_a_path =
            uri.0[..Position::BeforeHost] == *"http://" && uri.0[Position::AfterPath..].is_empty();
        if !has_only_a_path || uri.ip().is_none() {
            return Err(Error::input(
                "the redirect URI is not plain http to this machine; give a URI such as http://127.0.0.1/callback",
            ));
        }
        Ok(uri)
    }

    /// The address to listen on. Port 0 means any free port.
    pub(crate) fn address(&self) -> (IpAddr, u16) {
        let ip = self.ip().expect("`parse` checked the host");
        (ip, self.0.port().unwrap_or(0))
    }

    /// The same URI with the port that is open.
    ///
    /// "The authorization server MUST allow any port to be specified at the time of the request" (RFC 8252 §7.3).
    pub(crate) fn at_port(&self, port: u16) -> String {
        format!("http://{}{}", self.authority_at_port(port), self.0.path())
    }

    /// The host with the port that is open.
    pub(crate) fn authority_at_port(&self, port: u16) -> String {
        let host = self.0.host_str().expect("`parse` checked the host");
        format!("{host}:{port}")
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(ip) => Some(ip.into()).filter(IpAddr::is_loopback),
            Host::Ipv6(ip) => Some(ip.into()).filter(IpAddr::is_loopback),
            // RFC 8252 §8.3 advises against `localhost`, but some servers accept nothing else.
            Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
            Host::Domain(_) => None,
        }
    }
}

impl Default for RedirectUri {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("it is plain http to loopback")
    }
}

const DEFAULT: &str = "http://127.0.0.1/callback";

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn the_port_is_free_to_choose_or_the_registered_one() {
        let any = RedirectUri::default();
        assert_eq!(any.address(), (Ipv4Addr::LOCALHOST.into(), 0));
        assert_eq!(any.at_port(5000), "http://127.0.0.1:5000/callback");
        let ipv6 = RedirectUri::parse("http://[::1]:8400/back/here").unwrap();
        assert_eq!(ipv6.address(), (Ipv6Addr::LOCALHOST.into(), 8400));
        assert_eq!(ipv6.at_port(8400), "http://[::1]:8400/back/here");
        assert_eq!(ipv6.path(), "/back/here");
        let named = RedirectUri::parse("http://localhost").unwrap();
        assert_eq!(named.address(), (Ipv4Addr::LOCALHOST.into(), 0));
        assert_eq!(named.at_port(9), "http://localhost:9/");
    }

    #[test]
    fn another_machine_and_parts_beyond_the_path_are_refused() {
        for text in [
            "https://127.0.0.1/callback",
            "http://login.example.com/callback",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1/?a=b",
            "http://127.0.0.1/#f",
            "http://me@127.0.0.1/",
            "com.example.app:/callback",
            "/callback",
        ] {
            assert!(RedirectUri::parse(text).is_err(), "{text}");
        }
    }
}
