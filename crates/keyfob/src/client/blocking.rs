//! The session for code that blocks: the same core, run to its end on the calling thread.
//!
//! It is built on `reqwest::blocking`, whose requests and answers its users know, and drives the same exchange, journey and
//! token cache as the async session. As with `reqwest::blocking`, it must not be used inside an async runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use reqwest::blocking::{Body, Client, ClientBuilder, Request, Response, multipart};
use reqwest::redirect::Policy;
use serde::Serialize;
use url::Url;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::cache::status::Status;
use crate::client::session::attempts::{Journey, Next, Outgoing};
use crate::client::session::builder;
use crate::client::session::builder::SessionBuilder as GenericBuilder;
use crate::client::session::sender::{Options, Sender};
use crate::client::session::shared_methods::{outgoing, request_builder_surface, session_surface};
use crate::error::error::Error;
use crate::exchange::exchange::{Idempotency, Outcome, Replay};
use crate::exchange::reqwest_failure::{CONNECT_TIMEOUT, Fault};
use crate::exchange::retry::RetryPolicy;

/// Makes a blocking session with settings of your own; see [`crate::session::SessionBuilder`].
pub type SessionBuilder = GenericBuilder<ClientBuilder>;

/// An HTTP client that blocks, and whose requests carry a fresh token.
///
/// The same as [`crate::Session`] but for the waiting. Clones share the connections, the token and the retry budget.
///
/// ```no_run
/// use std::time::Duration;
/// use keyfob::blocking::Session;
///
/// # fn ask_the_vault() -> Result<String, std::io::Error> { Ok("t0ken".into()) }
/// let session = Session::new("https://api.example.com/v1/", keyfob::hook_blocking(|_| {
///     Ok::<_, std::io::Error>((ask_the_vault()?, Duration::from_secs(300)))
/// }))?;
/// let reports = session.get("reports").query(&[("year", "2026")]).send()?.text()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Session {
    sender: Arc<Sender<Client>>,
}

impl Session {
    /// A session for the origin of a base URL, against which relative URLs are resolved.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::new`].
    pub fn new(base_url: impl AsRef<str>, tokens: impl Into<TokenCache>) -> Result<Self, Error> {
        Self::builder(tokens).base_url(base_url).build()
    }

    /// A session with settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> SessionBuilder {
        let client = || Client::builder().connect_timeout(CONNECT_TIMEOUT);
        GenericBuilder::new(tokens.into(), client(), client().no_proxy())
    }

    session_surface!(RequestBuilder);

    /// Sends a request that was built elsewhere.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    pub fn execute(&self, request: Request) -> Result<Response, Error> {
        self.sender.execute(request, Options::default())
    }

    /// Gets a token unless there is one.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`].
    pub fn authenticate(&self) -> Result<(), Error> {
        self.tokens().authenticate_blocking()
    }

    /// The header fields of an authenticated request; gets a token if there is none.
    ///
    /// Put on another request by hand they are bound to no origin: prefer a session for that origin.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`].
    pub fn request_headers(&self) -> Result<HeaderMap, Error> {
        Ok(self.tokens().lease_blocking(None)?.to_headers())
    }
}

impl SessionBuilder {
    /// Makes the session. Nothing is sent yet.
    ///
    /// Its `timeout` bounds each attempt up to the head of the answer, the sending of a body included, and then each read of
    /// the answer's body.
    ///
    /// # Errors
    ///
    /// As [`crate::session::SessionBuilder::build`].
    pub fn build(self) -> Result<Session, Error> {
        let sender = self.into_sender(|client, timeout| {
            client.timeout(timeout).redirect(Policy::none()).build()
        })?;
        Ok(Session {
            sender: Arc::new(sender),
        })
    }
}

impl Sender<Client> {
    /// Sends a request until its exchange is done.
    fn execute(&self, request: Request, options: Options) -> Result<Response, Error> {
        let mut attempt = request;
        let exchange = self.exchange(
            &options,
            attempt.method(),
            attempt.headers(),
            replay(&attempt),
        );
        let mut journey =
            Journey::begin(&mut attempt, exchange, &self.authenticator, self.redirects)?;
        let done = |result: Result<Response, Fault>, journey: &Journey<Request>| {
            result.map_err(|fault| fault.report(&journey.destination()))
        };
        let mut lease = self.lease(&journey)?;
        loop {
            journey.authorize(&mut attempt, lease, &self.authenticator)?;
            let client = self.client_for(attempt.url());
            let result = client.execute(attempt).map_err(Fault::Client);
            let outcome = match &result {
                Ok(response) => Outcome::Response(response.status(), response.headers()),
                Err(fault) => Outcome::Failure(fault.failure()),
            };
            lease = match journey.judge(outcome, &self.authenticator)? {
                Next::Done => return done(result, &journey),
                Next::Follow => self.lease(&journey)?,
                Next::Wait(pause) => {
                    self.authenticator.clock().sleep_blocking(pause);
                    match self.lease(&journey) {
                        Ok(lease) => lease,
                        Err(error) => {
                            self.authenticator.will_not_retry(&error);
                            return done(result, &journey);
                        }
                    }
                }
                Next::Replace(rejected, challenges, max_wait) => {
                    let other =
                        self.authenticator
                            .replace_blocking(&rejected, &challenges, max_wait);
                    match other {
                        Some(other) => Some(other),
                        None => return done(result, &journey),
                    }
                }
            };
            attempt = journey.again();
        }
    }

    /// The credential of the next attempt, if it carries one (R7).
    fn lease(&self, journey: &Journey<Request>) -> Result<Option<Lease>, Error> {
        if !journey.wants_lease() {
            return Ok(None);
        }
        let max_wait = journey.max_wait(&self.authenticator);
        self.authenticator.lease_blocking(max_wait).map(Some)
    }
}

/// A request that is being built; made by [`Session::get`] and its kin.
///
/// ```no_run
/// # fn example(session: keyfob::blocking::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let order = session.post("orders").json(&serde_json::json!({ "item": 42 })).idempotent().send()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder {
    sender: Arc<Sender<Client>>,
    request: Result<reqwest::blocking::RequestBuilder, Error>,
    options: Options,
}

impl RequestBuilder {
    fn new(
        sender: Arc<Sender<Client>>,
        request: Result<reqwest::blocking::RequestBuilder, Error>,
    ) -> Self {
        Self {
            sender,
            request,
            options: Options::default(),
        }
    }

    request_builder_surface!(
        reqwest::blocking::RequestBuilder,
        Body,
        multipart::Form,
        Request
    );

    /// Sends the request with the credential on it, retries what is safe to retry, and heals one 401.
    ///
    /// # Errors
    ///
    /// As [`crate::session::RequestBuilder::send`].
    pub fn send(self) -> Result<Response, Error> {
        self.sender
            .execute(Self::built(self.request)?, self.options)
    }
}

outgoing!(Request);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("sender", &self.sender)
            .finish()
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Whether the body can be sent again; one that is read from somewhere cannot.
fn replay(request: &Request) -> Replay {
    match request.body() {
        Some(body) if body.as_bytes().is_none() => Replay::Impossible,
        _ => Replay::Possible,
    }
}
