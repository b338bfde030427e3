//! The names by which clients may call a listener. They stop DNS rebinding: a page of `evil.example` can let that name resolve to
//! this machine, but its requests still name it.

use std::net::IpAddr;

use crate::client::proxy::listener::{ListenAddress, Listener};
use crate::error::error::Error;
use crate::error::shown_name::shown_name;

/// The allowed values of `Host`, in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    port: Option<u16>,
    allowed: Vec<String>,
}

impl Hosts {
    /// The addresses of this machine and that of the listener, with its port; for a unix socket, `localhost`.
    pub(super) fn of(listener: &Listener) -> Self {
        let mut hosts = Self {
            port: listener.port(),
            allowed: Vec::new(),
        };
        match hosts.port {
            Some(_) => OWN_NAMES.iter().for_each(|name| hosts.add_name(name)),
            None => hosts.add_name("localhost"),
        }
        // No name can be made to lead to an address in `Host`.
        if let ListenAddress::Tcp(own) = listener.address()
            && !own.ip().is_unspecified()
        {
            match own.ip() {
                IpAddr::V4(ip) => hosts.add_name(&ip.to_string()),
                IpAddr::V6(ip) => hosts.add_name(&format!("[{ip}]")),
            }
        }
        hosts
    }

    pub(super) fn add(&mut self, host: &str) -> Result<(), Error> {
        let host = host.to_ascii_lowercase();
        let parsed = host.parse::<http::uri::Authority>();
        let authority = parsed
            .ok()
            .filter(|found| !found.as_str().contains(['@', '*']));
        match authority {
            None => Err(Error::input(format!(
                "{} is no host; give a name, or a name and a port, as clients send it in `Host`",
                shown_name(&host)
            ))),
            Some(authority) if authority.port().is_some() => {
                self.allowed.push(host);
                Ok(())
            }
            Some(_) => {
                self.add_name(&host);
                self.allowed.push(host);
                Ok(())
            }
        }
    }

    pub(super) fn contains(&self, host: &str) -> bool {
        self.allowed
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// A name without a port: on the listener's port, and without a port if that is the default of `http`.
    fn add_name(&mut self, name: &str) {
        match self.port {
            Some(port) => self.allowed.push(format!("{name}:{port}")),
            None => self.allowed.push(name.to_owned()),
        }
        if self.port == Some(80) {
            self.allowed.push(name.to_owned());
        }
    }
}

const OWN_NAMES: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];
