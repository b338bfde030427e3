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
        // There is time left for another address of the same host, and for another attempt.
        let timeout = timeout / 2;
        let mut host = host.clone();
        if host.get_connect_timeout().is_none() {
            host.connect_timeout(timeout);
        }
        let open = async {
            match &address.tls {
                Some(tls) => OpenConnection::open(&host, tls.clone()).await,
                None => OpenConnection::open(&host, NoTls).await,
            }
        };
        if address.hosts.len() == 1 {
            return open.await;
        }
        let open = clock::within(&SystemClock, timeout, open).await;
        open.unwrap_or(Err(Fault::TimedOut))
            .map_err(Fault::of_several)
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
