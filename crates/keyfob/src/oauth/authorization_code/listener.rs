//! The port to which the browser comes back, as long as the sign-in lasts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::{Either, pending, select};
use futures_util::stream::FuturesUnordered;
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

/// A listener on a port of this machine; it ends when it is dropped.
pub(crate) struct Listener {
    tcp: TcpListener,
    clock: Arc<dyn Clock>,
    uri: String,
    path: String,
}

/// A browser that came to the redirect URI, and waits for a page.
pub(crate) struct Visit {
    pub(crate) query: Zeroizing<String>,
    page: oneshot::Sender<Page>,
    /// Ends with the connection.
    over: oneshot::Receiver<Infallible>,
}

impl Visit {
    /// Answers the browser; completes when it has the page, or has gone.
    pub(crate) async fn answer(self, page: Page) {
        let over = self.begin_answer(page);
        _ = over.await;
    }

    /// Answers the browser without waiting until it has the page.
    pub(crate) fn begin_answer(self, page: Page) -> oneshot::Receiver<Infallible> {
        // A browser that has gone needs no page.
        _ = self.page.send(page);
        self.over
    }
}

impl Listener {
    /// Begins to listen; nobody is answered yet.
    pub(crate) async fn bind(uri: &RedirectUri, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let bound = TcpListener::bind(uri.address()).await;
        let (tcp, port) = bound
            .and_then(|tcp| tcp.local_addr().map(|address| (tcp, address.port())))
            .map_err(|cause| {
                let (ip, port) = uri.address();
                let which = if port == 0 {
                    "any port".to_owned()
                } else {
                    format!("port {port}")
                };
                Error::input(format!("the sign-in cannot listen on {which} of {ip}"))
                    .caused_by(cause)
            })?;
        Ok(Self {
            tcp,
            clock,
            uri: uri.at_port(port),
            path: uri.path().to_owned(),
        })
    }

    /// The redirect URI, with its port.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Answers whoever connects, and hands on those who come to the redirect URI. Never completes.
    ///
    /// Connections stand beside each other: one that sends nothing, slowly or nonsense holds up no other.
    pub(crate) async fn serve(&self, visits: &UnboundedSender<Visit>) -> Infallible {
        let mut connections = FuturesUnordered::new();
        loop {
            let full = connections.len() >= MOST;
            let accepted = async {
                match full {
                    true => pending().await,
                    false => self.tcp.accept().await,
                }
            };
            let served = async {
                match connections.next().await {
                    Some(()) => {}
                    None => pending().await,
                }
            };
            match select(Box::pin(accepted), Box::pin(served)).await {
                Either::Left((Ok((stream, _)), _)) => {
                    connections.push(self.serve_one(stream, visits));
                }
                // Such as too many open files: it may pass.
                Either::Left((Err(_), _)) => self.clock.sleep(PAUSE).await,
                Either::Right(((), _)) => {}
            }
        }
    }

    async fn serve_one(&self, stream: TcpStream, visits: &UnboundedSender<Visit>) {
        let (open, over) = oneshot::channel::<Infallible>();
        let over = Mutex::new(Some(over));
        let service = service_fn(|request| self.respond(request, visits, &over));
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(LONGEST_HEAD)
            // The whole connection has a limit, by our own clock.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        // What a client did wrong is its own affair.
        _ = within(&*self.clock, PATIENCE, connection).await;
        drop(open);
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        visits: &UnboundedSender<Visit>,
        over: &Mutex<Option<oneshot::Receiver<Infallible>>>,
    ) -> Result<Response<String>, Infallible> {
        let page = if request.uri().path() != self.path {
            Page::NotFound
        } else if request.method() != Method::GET {
            Page::NotAllowed
        } else {
            let query = request.uri().query().unwrap_or_default();
            let over = over.lock().unwrap_or_else(PoisonError::into_inner).take();
            Self::visit(query, visits, over).await.unwrap_or(Page::Late)
        };
        Ok(page.response())
    }

    /// Asks what page there is for this visit; `None` if nobody is left to say.
    async fn visit(
        query: &str,
        visits: &UnboundedSender<Visit>,
        over: Option<oneshot::Receiver<Infallible>>,
    ) -> Option<Page> {
        let (sender, page) = oneshot::channel();
        let visit = Visit {
            query: Zeroizing::new(query.to_owned()),
            page: sender,
            over: over?,
        };
        visits.unbounded_send(visit).ok()?;
        page.await.ok()
    }
}

/// So many connections at once; a browser makes a few, most of which it never uses.
const MOST: usize = 64;

/// So long a connection may last: as long as the token may take that the page waits for, and some more.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(100);

/// Longer heads are refused; an authorization code is some hundred bytes.
const LONGEST_HEAD: usize = 16 * 1024;
