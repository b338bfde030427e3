//! The async session: a `reqwest` client whose requests carry the credential.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::redirect::Policy;
use reqwest::{Request, Response};

use crate::cache::cache::TokenCache;
use crate::cache::status::Status;
use crate::client::session::builder::SessionBuilder;
use crate::client::session::request::RequestBuilder;
use crate::client::session::send::{Options, Sender};
use crate::client::session::shared_methods::session_methods;
use crate::error::error::Error;
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::origin::loopback::LoopbackAddresses;

/// An HTTP client whose requests carry a fresh token.
///
/// Clones share the connections, the token and the retry budget. Responses are those of `reqwest`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # async fn ask_the_vault() -> Result<String, std::io::Error> { Ok("t0ken".into()) }
/// use std::time::Duration;
/// use keyfob::Session;
///
/// let session = Session::new("https://api.example.com/v1/", keyfob::hook(|_| async {
///     Ok::<_, std::io::Error>((ask_the_vault().await?, Duration::from_secs(300)))
/// }))?;
/// let reports = session.get("reports").query(&[("year", "2026")]).send().await?.error_for_status()?;
/// println!("{}", reports.text().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    sender: Arc<Sender<reqwest::Client>>,
}

impl Session {
    /// Makes a session for the origin of a base URL, against which relative URLs are resolved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL is not an absolute http(s) one, and
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another host than this one.
    pub fn new(base_url: impl AsRef<str>, tokens: impl Into<TokenCache>) -> Result<Self, Error> {
        Self::builder(tokens).base_url(base_url).build()
    }

    /// Makes a builder, for settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> SessionBuilder {
        SessionBuilder::new(tokens.into(), client, || {
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
    pub async fn execute(&self, request: Request) -> Result<Response, Error> {
        let sender = Arc::clone(&self.sender);
        Box::pin(sender.send(Ok(Box::new(request)), Options::default())).await
    }

    /// Fetches a token, unless there is one.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`].
    pub async fn authenticate(&self) -> Result<(), Error> {
        self.tokens().authenticate().await
    }

    /// Returns the header fields of the credential. Fetches a token if there is none.
    ///
    /// The fields are not bound to an origin: prefer a session for the origin that they are sent to.
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`].
    pub async fn request_headers(&self) -> Result<HeaderMap, Error> {
        Ok(self.tokens().lease(None).await?.to_headers())
    }
}

impl SessionBuilder {
    /// Makes the session. Nothing is sent yet.
    ///
    /// Its [`timeout`](Self::timeout) sees each part of a request body and of a response body that moves.
    ///
    /// # Errors
    ///
    /// As [`Session::new`]; also if a URL or origin given before cannot be used, or the client cannot be made.
    pub fn build(self) -> Result<Session, Error> {
        let sender = self.into_sender(|client, _| client.redirect(Policy::none()).build())?;
        Ok(Session {
            sender: Arc::new(sender),
        })
    }
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().connect_timeout(DEFAULT_TIMEOUT)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("sender", &self.sender)
            .finish()
    }
}
