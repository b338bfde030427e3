//! The session for code without async, which runs on the calling thread.
//!
//! It is built on `reqwest::blocking`, whose requests and responses its users know, and runs the same loop as the async
//! session, on the calling thread. As with `reqwest::blocking`, it must not be used inside an async runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use reqwest::blocking::{Body, Client, ClientBuilder, Request, Response, multipart};
use reqwest::redirect::Policy;
use serde::Serialize;

use crate::cache::cache::TokenCache;
use crate::cache::status::Status;
use crate::client::session::builder::SessionBuilder as GenericBuilder;
use crate::client::session::send::{Options, Sender};
use crate::client::session::shared_methods::{request_builder_methods, session_methods};
use crate::error::error::Error;
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::exchange::outcome::Idempotency;
use crate::exchange::retry::RetryPolicy;
use crate::origin::loopback::LoopbackAddresses;
use crate::runtime::block_on::block_on;

/// The builder of a blocking session; see [`crate::session::SessionBuilder`].
pub type SessionBuilder = GenericBuilder<ClientBuilder>;

/// A blocking HTTP client whose requests carry a fresh token.
///
/// It does the same as [`crate::Session`]. Clones share the connections, the token and the retry budget.
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
    /// Makes a session for the origin of a base URL, against which relative URLs are resolved.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::new`].
    pub fn new(base_url: impl AsRef<str>, tokens: impl Into<TokenCache>) -> Result<Self, Error> {
        Self::builder(tokens).base_url(base_url).build()
    }

    /// Makes a builder, for settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> SessionBuilder {
        GenericBuilder::new(tokens.into(), client, || {
            client()
                .no_proxy()
                .dns_resolver(LoopbackAddresses::shared())
        })
    }

    session_methods!(RequestBuilder);

    /// Sends a request of `reqwest` that was built elsewhere.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    pub fn execute(&self, request: Request) -> Result<Response, Error> {
        let sender = Arc::clone(&self.sender);
        block_on(sender.send(Ok(Box::new(request)), Options::default()))
    }

    /// Fetches a token, unless there is one.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`].
    pub fn authenticate(&self) -> Result<(), Error> {
        self.tokens().authenticate_blocking()
    }

    /// Returns the header fields of the credential. Fetches a token if there is none.
    ///
    /// The fields are not bound to an origin: prefer a session for the origin that they are sent to.
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
    /// Its `timeout` cannot see a request body move: sending it and waiting for the head of the response count as one
    /// step. Then it sees each part of the response body that moves.
    ///
    /// # Errors
    ///
    /// As [`crate::session::SessionBuilder::build`].
    pub fn build(self) -> Result<Session, Error> {
        let sender = self.into_sender(|client: ClientBuilder, timeout| {
            // `Duration::MAX` is no timeout, and too long for the clock of `reqwest`.
            let timeout = (timeout < Duration::MAX).then_some(timeout);
            client.timeout(timeout).redirect(Policy::none()).build()
        })?;
        Ok(Session {
            sender: Arc::new(sender),
        })
    }
}

/// A request that is being built, for example by [`Session::get`].
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
    options: Options<Request>,
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

    request_builder_methods!(
        reqwest::blocking::RequestBuilder,
        Body,
        multipart::Form,
        Request
    );

    /// Sends the request with the credential, retries what is safe to retry, and renews the token after a 401.
    ///
    /// # Errors
    ///
    /// As [`crate::session::RequestBuilder::send`].
    pub fn send(self) -> Result<Response, Error> {
        let request = Self::built(self.request).map(Box::new);
        block_on(self.sender.send(request, self.options))
    }
}

fn client() -> ClientBuilder {
    Client::builder().connect_timeout(DEFAULT_TIMEOUT)
}

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
