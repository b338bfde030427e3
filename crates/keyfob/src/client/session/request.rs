//! One request of a session, as `reqwest`'s users know it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use reqwest::{Body, Request, Response, multipart};
use serde::Serialize;

use crate::cache::cache::TokenCache;
use crate::client::session::send::{Options, Sender};
use crate::client::session::shared_methods::request_builder_methods;
use crate::error::error::Error;
use crate::exchange::outcome::Idempotency;
use crate::exchange::retry::RetryPolicy;

/// A request that is being built, for example by [`Session::get`](crate::Session::get).
///
/// ```no_run
/// # async fn example(session: keyfob::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let response = session
///     .post("orders")
///     .header("x-request-id", "7f3a")
///     .json(&serde_json::json!({ "item": 42 }))
///     .idempotent()
///     .timeout(Duration::from_secs(5))
///     .send()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder {
    sender: Arc<Sender<reqwest::Client>>,
    request: Result<reqwest::RequestBuilder, Error>,
    options: Options<Request>,
}

impl RequestBuilder {
    pub(crate) fn new(
        sender: Arc<Sender<reqwest::Client>>,
        request: Result<reqwest::RequestBuilder, Error>,
    ) -> Self {
        Self {
            sender,
            request,
            options: Options::default(),
        }
    }

    request_builder_methods!(reqwest::RequestBuilder, Body, multipart::Form, Request);

    /// Sends the request with the credential, retries what is safe to retry, and renews the token after a 401.
    ///
    /// Nothing is sent before the future is awaited. The future is small.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); an authentication error if there is no valid token;
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if the credential may not go there;
    /// [`ErrorKind::Redirect`](crate::ErrorKind::Redirect) if the server redirects too often; and the last attempt's
    /// [`ErrorKind::Transport`](crate::ErrorKind::Transport). A response is no error, whatever its status.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
        let request = Self::built(self.request).map(Box::new);
        // Boxed, so that the futures that await it stay small.
        Box::pin(self.sender.send(request, self.options))
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
