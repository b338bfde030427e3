//! Accepts connections and reads requests from them, within limits, until it is stopped (P3, P7).
//!
//! Any HTTP service can be behind it, with any rules for who may use it. So the reverse proxy, the forward proxy and the pages for
//! health and metrics share it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::proxy::listener::{Listener, Peer, Stream};
use crate::client::proxy::server::connection::{Connection, CountedService};
use crate::client::proxy::server::limits::Limits;
use crate::client::proxy::server::places::Places;
use crate::client::proxy::server::stop::{Phase, Stopping};
use crate::client::proxy::strict_stream::StrictStream;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::BoxError;
use crate::observe::event_limit::EventLimit;
use crate::observe::proxy as events;

pub(crate) mod connection;
pub(crate) mod limits;
mod places;
pub(crate) mod stop;

/// Accepts connections for a service.
#[derive(Clone)]
pub struct Server {
    limits: Limits,
    clock: Arc<dyn Clock>,
    builder: Builder<TokioExecutor>,
}

impl Server {
    /// Makes a server with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            // `Connection` notices an idle client: a timer of hyper for the head of each request would cost more.
            .header_read_timeout(None)
            .max_buf_size(limits.head_bytes.max(SMALLEST_HEAD) as usize)
            .max_headers(limits.headers as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.head_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(limits.idle)
            .keep_alive_timeout(limits.idle);
        Self {
            limits,
            clock: Arc::new(SystemClock),
            builder,
        }
    }

    /// Measures times with this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Accepts connections until it is stopped, and returns when it accepts no more. Connections may then still be open:
    /// [`Stop::drain`](crate::proxy::Stop::drain) waits for them.
    ///
    /// `accepts` says which connections may be used. `make` makes the service of a connection.
    pub async fn serve<S, B>(
        &self,
        listener: Listener,
        stopping: Stopping,
        accepts: impl Fn(Peer) -> bool,
        make: impl Fn(&Arc<Connection>) -> S,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut places = Places::new(self.limits.connections.max(1) as usize);
        let name = listener.shared_name();
        let refused = EventLimit::default();
        while let Some((stream, peer)) = self.next(&listener, &stopping).await {
            if !accepts(peer) {
                if let Some(admitted) = refused.admit(self.clock.elapsed()) {
                    events::connection_refused(&name, peer, admitted);
                }
                continue;
            }
            let place = tokio::select! {
                biased;
                _ = stopping.wait_for(Phase::Drain) => break,
                place = places.take(&*self.clock) => place,
            };
            let connection = Arc::new(Connection::new(
                Arc::clone(&name),
                peer,
                stopping.clone(),
                Arc::clone(&self.clock),
                place,
            ));
            places.note(&connection, self.clock.elapsed());
            let service = make(&connection);
            let server = self.clone();
            tokio::spawn(async move {
                match stream {
                    Stream::Unix(stream) => server.serve_stream(stream, service, connection).await,
                    Stream::Tcp(stream) => server.serve_stream(stream, service, connection).await,
                }
            });
        }
    }

    /// The next connection; `None` if the server is stopped.
    async fn next(&self, listener: &Listener, stopping: &Stopping) -> Option<(Stream, Peer)> {
        let mut pause = FIRST_PAUSE;
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok(accepted) => return accepted,
                    // The client has gone already.
                    Err(error) if is_of_connection(&error) => {}
                    // Without a pause, a lack of file descriptors would keep a processor busy.
                    Err(error) => {
                        events::accept_failed(listener.name(), &error, pause);
                        self.clock.sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        };
        tokio::select! {
            biased;
            _ = stopping.wait_for(Phase::Drain) => None,
            accepted = accept => Some(accepted),
        }
    }

    /// Serves the requests on a stream of a connection, which may be in a tunnel, until it ends.
    pub(crate) async fn serve_stream<I, S, B>(
        &self,
        stream: I,
        service: S,
        connection: Arc<Connection>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let idle = self.limits.idle;
        let mut ends = FuturesUnordered::new();
        let first = self.limits.first_request;
        ends.push(connection.cut().map(|()| End::Now).boxed());
        ends.push(connection.not_admitted_in(first).map(|()| End::Now).boxed());
        ends.push(
            connection
                .closing(idle)
                .map(|()| End::AfterResponses)
                .boxed(),
        );
        let service = CountedService::new(service, Arc::clone(&connection));
        let io = TokioIo::new(StrictStream::new(stream));
        let mut http = pin!(self.builder.serve_connection_with_upgrades(io, service));
        loop {
            tokio::select! {
                biased;
                // They are polled only when one of them is woken, and not with each step of a request.
                Some(end) = ends.next() => match end {
                    End::Now => return,
                    End::AfterResponses => {
                        http.as_mut().graceful_shutdown();
                        // The client reads the rest of its response in this time, or it is gone.
                        ends.push(connection.unused_for(idle).map(|()| End::Now).boxed());
                    }
                },
                // A connection that breaks is nothing to report: the request that it had is in the access log.
                _ = &mut http => return,
            }
        }
    }
}

/// How the server ends a connection.
enum End {
    /// What it still sends or receives is cut off.
    Now,
    /// Its requests in progress get their responses.
    AfterResponses,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Whether an error of `accept` is about the connection that it would have returned.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
    )
}

/// The smallest buffer that hyper takes.
const SMALLEST_HEAD: u32 = 8192;

/// What a client may send before it is read, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BUFFER: usize = 256 * 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
