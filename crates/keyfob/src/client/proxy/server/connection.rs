//! One connection of a client: what it may still do, and when it is closed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::client::proxy::listener::Peer;
use crate::client::proxy::server::stop::{Phase, Stopping};
use crate::clock::clock::Clock;

/// A connection of a client.
///
/// While it is held, [`Stop::drain`](crate::proxy::Stop::drain) waits. A task that goes on after an upgrade holds it, and ends when
/// [`cut`](Self::cut) completes.
pub struct Connection {
    listener: Arc<str>,
    peer: Peer,
    stopping: Stopping,
    clock: Arc<dyn Clock>,
    in_flight: AtomicUsize,
    /// When the last request ended, or the connection was made, in nanoseconds.
    idle_since: AtomicU64,
    is_admitted: AtomicBool,
    refused: Notify,
    displaced: Notify,
    /// Another connection may be accepted in its place.
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        listener: Arc<str>,
        peer: Peer,
        stopping: Stopping,
        clock: Arc<dyn Clock>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            listener,
            peer,
            stopping,
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(clock.coarse_time().monotonic),
            clock,
            is_admitted: AtomicBool::new(false),
            refused: Notify::new(),
            displaced: Notify::new(),
            _place: place,
        }
    }

    /// The name of the listener that accepted it.
    #[must_use]
    pub fn listener(&self) -> &Arc<str> {
        &self.listener
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Records that a request was admitted, so that the connection may stay open.
    pub fn admit(&self) {
        // Read first: a write would move the line between processors with each request.
        if !self.is_admitted() {
            self.is_admitted.store(true, Ordering::Relaxed);
        }
    }

    /// Closes the connection after the response to a request that was refused.
    pub fn refuse(&self) {
        self.refused.notify_one();
    }

    /// Completes when the connection has to end at once.
    pub async fn cut(&self) {
        self.stopping.wait_for(Phase::Cut).await;
    }

    /// Completes when no further request is wanted: the server is stopped, a request was refused, or there was none for this time.
    pub(super) async fn closing(&self, idle: Duration) {
        tokio::select! {
            () = self.stopping.wait_for(Phase::Drain) => {}
            () = self.refused.notified() => {}
            () = self.unused_for(idle) => {}
        }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.is_admitted.load(Ordering::Relaxed)
    }

    /// Closes the connection, unless a request is admitted first: another one needs its place.
    pub(super) fn displace(&self) {
        self.displaced.notify_one();
    }

    /// Completes if no request is admitted in this time, or before the place is needed.
    pub(super) async fn not_admitted_in(&self, limit: Duration) {
        tokio::select! {
            () = self.clock.sleep(limit) => {}
            () = self.displaced.notified() => {}
        }
        if self.is_admitted() {
            std::future::pending().await
        }
    }

    /// Completes when no request has been in progress for this time.
    pub(super) async fn unused_for(&self, limit: Duration) {
        let mut left = limit;
        while !left.is_zero() {
            self.clock.sleep(left).await;
            let now = self.clock.coarse_time().monotonic;
            let since = self.idle_since.load(Ordering::Relaxed);
            left = match self.in_flight.load(Ordering::Relaxed) {
                0 => limit.saturating_sub(Duration::from_nanos(now.saturating_sub(since))),
                _ => limit,
            };
        }
    }

    fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("listener", &self.listener)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A request whose response has not ended.
struct InFlight(Arc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.0;
        let now = connection.clock.coarse_time().monotonic;
        connection.idle_since.store(now, Ordering::Relaxed);
        connection.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The service of a connection, which counts its requests in progress.
pub(super) struct CountedService<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> CountedService<S> {
    pub(super) fn new(service: S, connection: Arc<Connection>) -> Self {
        Self {
            service,
            connection,
        }
    }
}

impl<S, B> Service<Request<Incoming>> for CountedService<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        CountedFuture {
            in_flight: Some(self.connection.begin()),
            response: self.service.call(request),
        }
    }
}

pin_project! {
    pub(super) struct CountedFuture<F> {
        in_flight: Option<InFlight>,
        #[pin]
        response: F,
    }
}

impl<F, B, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.response.poll(context));
        let in_flight = this.in_flight.take();
        Poll::Ready(response.map(|response| {
            response.map(|body| CountedBody {
                body,
                _in_flight: in_flight,
            })
        }))
    }
}

pin_project! {
    /// A response body. Its request is in progress until this is dropped.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        _in_flight: Option<InFlight>,
    }
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
