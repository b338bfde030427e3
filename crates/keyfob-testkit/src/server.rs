//! A scripted HTTP server on a thread of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, thread};

use crate::expect::Expect;
use crate::host::Host;
use crate::log::Log;
use crate::received::Received;
use crate::script::Script;
use crate::service::Shared;

/// A scripted HTTP server on a loopback port of its own.
///
/// It speaks HTTP/1.1, and HTTP/2 to clients that start with it. It runs on its own thread, so tests may be
/// asynchronous on any runtime, or blocking. Dropping it stops it, ends its connections and its thread.
///
/// A request that no [`Expect`] is left for is answered 599 with the reason. It fails the test, as a missing request
/// does: [`verify`](Self::verify) panics with a report, and so does dropping a server that was not verified (unless
/// the thread panics already).
///
/// ```
/// use std::io::{Read, Write};
///
/// use keyfob_testkit::{ScriptedResponse, Expect, Server};
///
/// let server = Server::start();
/// server.expect(Expect::get("/hello").respond(ScriptedResponse::text("world")));
///
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// client.write_all(b"GET /hello HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
///
/// assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("world"));
/// assert_eq!(server.received()[0].path, "/hello");
/// server.verify();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    host: Option<Host>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If the machine has no port or no thread left.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Starts with the defaults, to change some of them.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Adds an expectation; of those that match a request, the first that has an answer left gives it.
    ///
    /// # Panics
    ///
    /// If the expectation has no answer at all.
    pub fn expect(&self, expect: Expect) -> &Self {
        self.shared.script.expect(expect);
        self
    }

    /// The base URL, without a slash at its end: `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a path (and query) that starts with `/`.
    #[must_use]
    pub fn url_for(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, oldest first, up to [`ServerBuilder::kept`] of the newest.
    ///
    /// A request is here before its answer begins.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.log.newest()
    }

    /// How many requests came so far, kept or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.log.calls()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Waits until so many requests have come, for ever if need be; works on any runtime.
    pub async fn reached(&self, calls: usize) {
        self.shared.log.reached(calls).await;
    }

    /// Blocks this thread until so many requests have come.
    ///
    /// # Panics
    ///
    /// If they have not come within `limit`.
    pub fn wait_for_calls(&self, calls: usize, limit: Duration) {
        let came = self.shared.log.reached_within(calls, limit);
        assert!(
            came >= calls,
            "{came} of {calls} requests came to {} within {limit:?}",
            self.url()
        );
    }

    /// Checks that every expected request has come, and no other.
    ///
    /// # Panics
    ///
    /// If not, with a report that names each missing and each unexpected request.
    #[track_caller]
    pub fn verify(&self) {
        if let Some(report) = self.report() {
            panic!("{report}");
        }
    }

    /// What [`verify`](Self::verify) would panic with, if anything; counts as verified.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let report = self.shared.script.report()?;
        let url = self.url();
        Some(format!(
            "the requests to {url} were not as expected:{report}"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(host) = self.host.take() {
            host.stop();
        }
        if !thread::panicking() && !self.shared.script.is_reported() {
            self.verify();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        let calls = self.calls();
        f.debug_struct("Server")
            .field("url", &url)
            .field("calls", &calls)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Server`] that is not started yet.
///
/// ```
/// use keyfob_testkit::Server;
///
/// let server = Server::builder().body_limit(16).start();
/// ```
#[derive(Clone, Debug)]
#[must_use = "it has to be started"]
pub struct ServerBuilder {
    address: SocketAddr,
    body_limit: usize,
    kept: usize,
}

impl ServerBuilder {
    /// How much of a request body is kept if nothing else is said: 1 MiB.
    pub const BODY_LIMIT: usize = 1 << 20;

    /// How many requests are kept if nothing else is said.
    pub const KEPT: usize = 4096;

    fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            body_limit: Self::BODY_LIMIT,
            kept: Self::KEPT,
        }
    }

    /// Listens on `[::1]` instead of 127.0.0.1.
    pub fn ipv6(mut self) -> Self {
        self.address.set_ip(Ipv6Addr::LOCALHOST.into());
        self
    }

    /// Listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Keeps so many bytes of each request body; the rest is counted, checksummed and discarded.
    ///
    /// The default is [`BODY_LIMIT`](Self::BODY_LIMIT).
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Keeps so many of the newest requests, as long as their bodies together stay below 64 MiB.
    ///
    /// The default is [`KEPT`](Self::KEPT).
    pub fn kept(mut self, requests: usize) -> Self {
        self.kept = requests;
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// If the port is taken, or the machine has no port or no thread left.
    #[must_use]
    pub fn start(self) -> Server {
        let listener = TcpListener::bind(self.address).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            script: Script::default(),
            log: Log::new(self.kept),
            body_limit: self.body_limit,
            connections: AtomicU64::new(0),
        });
        let host = Host::start(listener, Arc::clone(&shared)).expect("a new thread");
        Server {
            shared,
            address,
            host: Some(host),
        }
    }
}
