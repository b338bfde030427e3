//! Hosts: how they are read, and which are this machine.

use std::net::IpAddr;

use url::Host;

use crate::error::error::Error;

/// Whether a host is this machine; see [`Origin::is_loopback`](crate::Origin::is_loopback).
pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref();
            name == LOCALHOST || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).to_canonical().is_loopback(),
    }
}

/// Whether a host is the metadata service of a cloud platform, which only the machine itself can reach.
pub(super) fn is_metadata_host<S: AsRef<str>>(host: &Host<S>) -> bool {
    let is_link_local = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        // The second is the address of Amazon's service.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2]
        }
    };
    match host {
        Host::Domain(name) => name.as_ref().trim_end_matches('.') == "metadata.google.internal",
        Host::Ipv4(address) => is_link_local((*address).into()),
        Host::Ipv6(address) => is_link_local((*address).into()),
    }
}

/// Parses a host as every resolver reads it. For plain hosts this avoids [`Host::parse`], which looks up Unicode tables.
pub(super) fn parse_host(host: &str) -> Result<Host, Error> {
    if let Ok(address) = host.parse() {
        return Ok(Host::Ipv4(address));
    }
    if is_plain_name(host) {
        return Ok(Host::Domain(host.to_owned()));
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(host).parse() {
        return Ok(Host::Ipv6(address));
    }
    let lower = host.to_ascii_lowercase();
    match Host::parse(&lower) {
        Ok(Host::Domain(name)) if name == lower => Ok(Host::Domain(name)),
        Ok(_) => Err(odd_host()),
        Err(error) => Err(odd_host().caused_by(error)),
    }
}

fn odd_host() -> Error {
    Error::input(
        "the host of the URL can be read in more than one way; give a name in ASCII, or an address in its usual form",
    )
}

/// Whether a host is a name in normal form: no upper case, no IDNA, no number that could be an address.
fn is_plain_name(host: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let last = host.rsplit('.').next().unwrap_or_default();
    host.bytes().all(plain)
        && last.starts_with(|first: char| first.is_ascii_lowercase())
        && !host.contains("--")
}

pub(super) const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use crate::origin::origin::Origin;

    #[test]
    fn r1_a_host_that_can_be_read_in_two_ways_is_refused() {
        for host in [
            "127.1",
            "0x7f.0.0.1",
            "010.0.0.1",
            "2130706433",
            "127.0.0.1.",
            "a.example\\x",
            "a.example/x",
            "me@a.example",
            "a%2eexample",
            "b\u{fc}cher.example",
            "a\u{3002}example",
            "a example",
            "a\texample",
            "[fe80::1%25eth0]",
            "",
        ] {
            assert!(Origin::from_parts("http", host, None).is_err(), "{host}");
        }
        for (host, same) in [
            ("A.Example", "https://a.example"),
            ("a.example.", "https://a.example."),
            ("xn--bcher-kva.example", "https://b\u{fc}cher.example"),
            ("::1", "https://[::1]"),
            ("[0:0::1]", "https://[::1]"),
            ("my_host", "https://my_host"),
        ] {
            let parts = Origin::from_parts("HTTPS", host, Some(443)).unwrap();
            assert_eq!(parts, same.parse().unwrap(), "{host}");
        }
    }
}
