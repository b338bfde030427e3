//! A scripted HTTP server on a thread of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, thread};

use crate::server::expect::Expect;
use crate::server::log::Log;
use crate::server::received::Received;
use crate::server::script::Script;
use crate::server::service::ServerState;
use crate::server::thread::ServerThread;

/// A scripted HTTP server on a loopback port of its own.
///
/// It accepts HTTP/1.1, and HTTP/2 with prior knowledge. It runs on its own thread, so tests may be asynchronous on any runtime,
/// or blocking. Dropping the server ends its connections and its thread.
///
/// A request that matches no remaining [`Expect`] gets a 599 with the reason. Such a request fails the test, and so does a missing
/// request: [`verify`](Self::verify) panics with a report. Dropping a server that was not verified does the same, unless the
/// thread panics already.
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
/// let mut response = String::new();
/// client.read_to_string(&mut response)?;
///
/// assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("world"));
/// assert_eq!(server.received()[0].path, "/hello");
/// server.verify();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server {
    state: Arc<ServerState>,
    address: SocketAddr,
    thread: Option<ServerThread>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If the machine has no free port or no thread left.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Adds an expectation. Of the expectations that match a request, the first that has a response left responds.
    ///
    /// # Panics
    ///
    /// If the expectation has no response.
    pub fn expect(&self, expect: Expect) -> &Self {
        self.state.script.expect(expect);
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

    /// The requests so far, oldest first: the newest [`ServerBuilder::request_limit`] of them.
    ///
    /// A request is in this list before its response begins.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.log.newest()
    }

    /// How many requests arrived so far, whether they were kept or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state.log.calls()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Waits until this many requests have arrived, without a timeout. It works on any runtime.
    pub async fn until_calls(&self, calls: usize) {
        self.state.log.until_calls(calls).await;
    }

    /// Blocks this thread until this many requests have arrived.
    ///
    /// # Panics
    ///
    /// If they have not arrived within `timeout`.
    pub fn wait_for_calls(&self, calls: usize, timeout: Duration) {
        let arrived = self.state.log.wait_for_calls(calls, timeout);
        assert!(
            arrived >= calls,
            "{arrived} of {calls} requests arrived at {} within {timeout:?}",
            self.url()
        );
    }

    /// Checks that every expected request has arrived, and no other.
    ///
    /// # Panics
    ///
    /// If that is not so, with a report that names each missing and each unexpected request.
    #[track_caller]
    pub fn verify(&self) {
        if let Some(report) = self.report() {
            panic!("{report}");
        }
    }

    /// The report that [`verify`](Self::verify) would panic with, if any. After this call the server counts as verified.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let report = self.state.script.report()?;
        let url = self.url();
        Some(format!(
            "the requests to {url} were not as expected:{report}"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.stop();
        }
        if !thread::panicking() && !self.state.script.is_reported() {
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

/// Settings of a [`Server`] that is not yet started.
///
/// ```
/// use keyfob_testkit::Server;
///
/// let server = Server::builder().body_limit(16).start();
/// ```
#[derive(Clone, Debug)]
#[must_use = "the server has to be started"]
pub struct ServerBuilder {
    address: SocketAddr,
    body_limit: usize,
    request_limit: usize,
}

impl ServerBuilder {
    /// The default of [`body_limit`](Self::body_limit): 1 MiB.
    pub const BODY_LIMIT: usize = 1 << 20;

    /// The default of [`request_limit`](Self::request_limit).
    pub const REQUEST_LIMIT: usize = 4096;

    fn new() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            body_limit: Self::BODY_LIMIT,
            request_limit: Self::REQUEST_LIMIT,
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

    /// Keeps this many bytes of each request body. The rest is counted, included in the checksum, and discarded.
    ///
    /// The default is [`BODY_LIMIT`](Self::BODY_LIMIT).
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Keeps this many of the newest requests, or fewer if their bodies together exceed 64 MiB.
    ///
    /// The default is [`REQUEST_LIMIT`](Self::REQUEST_LIMIT).
    pub fn request_limit(mut self, requests: usize) -> Self {
        self.request_limit = requests;
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// If the port is in use, or if the machine has no free port or no thread left.
    #[must_use]
    pub fn start(self) -> Server {
        let listener = TcpListener::bind(self.address).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(ServerState {
            script: Script::default(),
            log: Log::new(self.request_limit),
            body_limit: self.body_limit,
            connections: AtomicU64::new(0),
        });
        let thread = ServerThread::start(listener, Arc::clone(&state)).expect("a new thread");
        Server {
            state,
            address,
            thread: Some(thread),
        }
    }
}
