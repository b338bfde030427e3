//! The local HTTP server to which the browser is redirected. It runs only during a sign-in.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;
use futures_util::future::{AbortHandle, Shared, abortable};
use futures_util::{FutureExt, StreamExt, stream};
use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use crate::clock::clock::{Clock, within};
use crate::error::error::Error;
use crate::oauth::authorization_code::page::Page;
use crate::oauth::authorization_code::redirect_uri::RedirectUri;

/// A listener on a loopback port. Dropping it closes the port.
pub(crate) struct Listener {
    tcp: TcpListener,
    clock: Arc<dyn Clock>,
    uri: String,
    /// The host and the port of the URI, which is the only value of `Host` that a browser sends here.
    authority: String,
    path: String,
}

/// Completes, with an error, when a connection is closed: its sender is dropped, and never sends.
type Closed = Shared<oneshot::Receiver<Infallible>>;

/// A request of the browser to the redirect URI, which waits for a page.
pub(crate) struct BrowserRequest {
    pub(crate) query: Zeroizing<String>,
    pub(crate) sender: Sender,
    pub(crate) page: oneshot::Sender<Page>,
    pub(crate) closed: Closed,
}

/// What sent a request: the browser, or a person who copied its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Browser,
    Person,
}

impl BrowserRequest {
    /// Responds with a page, and waits until the browser has received it or is gone.
    pub(crate) async fn respond(self, page: Page) {
        _ = self.start_response(page).await;
    }

    /// Responds with a page without waiting until the browser has received it.
    pub(crate) fn start_response(self, page: Page) -> Closed {
        // Fails only if the browser is gone.
        _ = self.page.send(page);
        self.closed
    }
}

impl Listener {
    /// Opens the port. Requests wait until [`serve`](Self::serve) runs.
    pub(crate) async fn bind(uri: &RedirectUri, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let bound = TcpListener::bind(uri.address()).await;
        let (tcp, port) = bound
            .and_then(|tcp| tcp.local_addr().map(|address| (tcp, address.port())))
            .map_err(|cause| {
                let (ip, port) = uri.address();
                let port = match port {
                    0 => "any port".to_owned(),
                    port => format!("port {port}"),
                };
                Error::input(format!(
                    "the sign-in cannot listen on {port} of {ip}; free the port, or give another redirect URI"
                ))
                .caused_by(cause)
            })?;
        Ok(Self {
            tcp,
            clock,
            uri: uri.at_port(port),
            authority: uri.authority_at_port(port),
            path: uri.path().to_owned(),
        })
    }

    /// The redirect URI, with its port.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Serves connections, and passes on the requests to the redirect URI. Never completes.
    ///
    /// Connections are served concurrently: one that sends nothing, or sends slowly, delays no other. If there are too many, the
    /// oldest one without a request is closed, so that another user of this machine cannot keep the browser out.
    pub(crate) async fn serve(&self, requests: &UnboundedSender<BrowserRequest>) {
        let accepted = stream::unfold((), |()| async { Some((self.accept().await, ())) });
        let mut open = OpenConnections::default();
        let serve = |stream| {
            let has_request = Arc::new(AtomicBool::new(false));
            let was_open = Arc::downgrade(&has_request);
            let connection = self.serve_connection(stream, requests, has_request);
            let (connection, abort) = abortable(connection);
            open.add(was_open, abort);
            async move { _ = connection.await }
        };
        accepted.for_each_concurrent(None, serve).await;
    }

    async fn accept(&self) -> TcpStream {
        loop {
            match self.tcp.accept().await {
                Ok((connection, _)) => return connection,
                // For example too many open files, which is temporary.
                Err(_) => self.clock.sleep(ACCEPT_RETRY_PAUSE).await,
            }
        }
    }

    async fn serve_connection(
        &self,
        stream: TcpStream,
        requests: &UnboundedSender<BrowserRequest>,
        has_request: Arc<AtomicBool>,
    ) {
        let (open, closed) = oneshot::channel::<Infallible>();
        let closed = closed.shared();
        let service = service_fn(|request| {
            has_request.store(true, Ordering::Relaxed);
            self.respond(request, requests, &closed)
        });
        let connection = http1::Builder::new()
            // The connection then closes when the browser has the page, and `BrowserRequest::respond` waits for that.
            .keep_alive(false)
            .max_buf_size(MAX_HEAD_BYTES)
            // The timeout of the whole connection, on the injected clock, covers the head too.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        // An error of one browser connection does not concern the sign-in.
        _ = within(&*self.clock, CONNECTION_TIMEOUT, connection).await;
        // Dropped at the end of the connection, whatever ended it: this completes `closed`.
        drop(open);
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        requests: &UnboundedSender<BrowserRequest>,
        closed: &Closed,
    ) -> Result<Response<String>, Infallible> {
        let page = if !self.is_addressed_by(&request) || request.uri().path() != self.path {
            Page::NotFound
        } else if request.method() != Method::GET {
            Page::MethodNotAllowed
        } else {
            let query = request.uri().query().unwrap_or_default();
            Self::page_for(query, requests, closed)
                .await
                .unwrap_or(Page::AlreadyAnswered)
        };
        Ok(page.response())
    }

    /// Whether the request names exactly this address. A page whose host name resolves to this machine names another one.
    fn is_addressed_by(&self, request: &Request<Incoming>) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        let is_ours = hosts
            .next()
            .is_some_and(|host| host == self.authority.as_str());
        let target = request.uri().authority();
        is_ours && hosts.next().is_none() && target.is_none_or(|target| *target == *self.authority)
    }

    /// Passes a request on and waits for its page; `None` if the sign-in has ended.
    async fn page_for(
        query: &str,
        requests: &UnboundedSender<BrowserRequest>,
        closed: &Closed,
    ) -> Option<Page> {
        let (sender, page) = oneshot::channel();
        let request = BrowserRequest {
            query: Zeroizing::new(query.to_owned()),
            sender: Sender::Browser,
            page: sender,
            closed: closed.clone(),
        };
        requests.unbounded_send(request).ok()?;
        page.await.ok()
    }
}

/// The connections that are served, the oldest first.
#[derive(Default)]
struct OpenConnections(VecDeque<(Weak<AtomicBool>, AbortHandle)>);

impl OpenConnections {
    /// Adds a connection, and closes another if there are too many. The flag is true when the connection has sent a request.
    fn add(&mut self, has_request: Weak<AtomicBool>, abort: AbortHandle) {
        let is_open = |(flag, abort): &(Weak<AtomicBool>, AbortHandle)| {
            flag.strong_count() > 0 && !abort.is_aborted()
        };
        self.0.retain(is_open);
        self.0.push_back((has_request, abort));
        if self.0.len() <= MAX_CONNECTIONS {
            return;
        }
        let is_silent = |flag: &Weak<AtomicBool>| {
            flag.upgrade()
                .is_some_and(|flag| !flag.load(Ordering::Relaxed))
        };
        let oldest = self.0.iter().find(|(flag, _)| is_silent(flag));
        // If each of them has sent a request, the new one is closed.
        if let Some((_, abort)) = oldest.or(self.0.back()) {
            abort.abort();
        }
    }
}

/// How many connections are served at once. A browser opens a few, and never uses most of them.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may last: longer than the token request that its page waits for.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Longer request heads are refused. An authorization code has some hundred bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
