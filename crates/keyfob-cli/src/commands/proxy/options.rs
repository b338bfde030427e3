//! The arguments of `keyfob proxy`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Method;

use crate::commands::proxy::place;
use crate::options::profile::ConfigOption;

#[derive(Args)]
pub(super) struct ProxyOptions {
    /// The routes: names of the table [proxy.routes], or of profiles; all of the table unless given
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// A profile whose server and token are a route, as NAME
    #[arg(long, value_name = "NAME", help_heading = "Profile")]
    pub(super) profile: Vec<String>,
    /// Listen at this unix socket, which is made for you alone
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// Listen at this TCP address, such as 127.0.0.1:8125; port 0 is any that is free
    #[arg(long, value_name = "IP:PORT", value_parser = place::address)]
    pub(super) listen: Option<SocketAddr>,
    /// Allow addresses that other machines can reach, although what passes there is not encrypted
    #[arg(long)]
    pub(super) allow_other_machines: bool,
    /// Read the secret that clients must send from this file, such as /dev/fd/3
    #[arg(long, value_name = "FILE")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// Let clients call the proxy by this name too, as they send it in Host
    #[arg(long, value_name = "NAME[:PORT]")]
    pub(super) host: Vec<String>,
    /// Allow this method only, or these if given several times
    #[arg(long, value_name = "METHOD")]
    pub(super) allow_method: Vec<Method>,
    /// Allow this path and those below it only, or these if given several times
    #[arg(long, value_name = "PATH")]
    pub(super) allow_path: Vec<String>,
    /// Serve /healthz, /readyz and /metrics at this TCP address
    #[arg(long, value_name = "IP:PORT", value_parser = place::address)]
    pub(super) status_listen: Option<SocketAddr>,
    /// Append a line of JSON for each request to this file, or print it for `-`
    #[arg(long, value_name = "FILE")]
    pub(super) access_log: Option<PathBuf>,
    /// How long requests in progress may take when the proxy stops, in seconds [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = place::seconds)]
    pub(super) drain: Option<Duration>,
    #[command(flatten)]
    pub(super) config: ConfigOption,
}

impl ProxyOptions {
    /// The routes that the arguments name.
    pub(super) fn names(&self) -> Vec<&str> {
        let names: BTreeSet<_> = self.names.iter().chain(&self.profile).collect();
        names.into_iter().map(String::as_str).collect()
    }
}
