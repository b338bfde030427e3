//! A server whose name resolves to another address at first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyfob::Session;
use keyfob_testkit::ManualClock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::fixtures::{builder, refusing_address};

/// A server whose name resolves to a closed port at first.
pub(crate) struct LateServer(Arc<Lookups>);

pub(crate) struct Lookups {
    so_far: AtomicUsize,
    refused: usize,
    nowhere: SocketAddr,
    server: SocketAddr,
}

impl LateServer {
    /// The first lookups return an address that refuses connections.
    pub(crate) fn new(server: SocketAddr, refused: usize) -> Self {
        Self(Arc::new(Lookups {
            so_far: AtomicUsize::new(0),
            refused,
            nowhere: refusing_address(),
            server,
        }))
    }

    pub(crate) fn session(&self) -> Session {
        let client = reqwest::Client::builder().dns_resolver(Arc::clone(&self.0));
        builder(&ManualClock::default())
            .client(client)
            .allow_plain_http("http://api.test/")
            .base_url("http://api.test/")
            .build()
            .unwrap()
    }

    pub(crate) fn lookups(&self) -> usize {
        self.0.so_far.load(Ordering::SeqCst)
    }
}

impl Resolve for Lookups {
    fn resolve(&self, _: Name) -> Resolving {
        let number = self.so_far.fetch_add(1, Ordering::SeqCst);
        let address = if number < self.refused {
            self.nowhere
        } else {
            self.server
        };
        let addresses: Addrs = Box::new(std::iter::once(address));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
