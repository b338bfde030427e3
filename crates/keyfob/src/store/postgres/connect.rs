//! How a connection is opened. One of several hosts accepts writes, and the others may be standbys, be down, or not answer at all.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_postgres::NoTls;

use crate::clock::clock;
use crate::clock::system::SystemClock;
use crate::store::postgres::address::Address;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::OpenConnection;

/// Connects to all hosts at once, and returns the first connection. So a host that does not answer delays no other.
pub(super) async fn connect(address: &Address, timeout: Duration) -> Result<OpenConnection, Fault> {
    let attempts = address.hosts.iter().map(async |host| {
        let is_only = address.hosts.len() == 1;
        // There is time left for another attempt at all of several hosts.
        let timeout = if is_only { timeout } else { timeout / 2 };
        // There is time left for another address of the same host.
        let of_address = host.get_connect_timeout().copied();
        let of_address = of_address.map_or(timeout / 2, |set| set.min(timeout / 2));
        let mut host = host.clone();
        host.connect_timeout(of_address);
        let open = async {
            match &address.tls {
                Some(tls) => OpenConnection::open(&host, tls.clone()).await,
                None => OpenConnection::open(&host, NoTls).await,
            }
        };
        let open = clock::within(&SystemClock, timeout, open).await;
        open.unwrap_or(Err(Fault::TimedOut))
    });
    let mut attempts: FuturesUnordered<_> = attempts.collect();
    let mut faults = Vec::new();
    while let Some(result) = attempts.next().await {
        match result {
            Ok(open) => return Ok(open),
            Err(fault) => faults.push(fault),
        }
    }
    Err(Fault::of_all(faults))
}
