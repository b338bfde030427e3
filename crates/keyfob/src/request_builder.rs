//! One request of a session, as `reqwest`'s users know it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Version;
use reqwest::Body;
use reqwest::Request;
use reqwest::Response;
use reqwest::multipart;
use serde::Serialize;

use crate::error::Error;
use crate::exchange::Effect;
use crate::retry::RetryPolicy;
use crate::sender::Options;
use crate::sender::Sender;

/// A request that is being built; made by [`Session::get`](crate::Session::get) and its kin.
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
    options: Options,
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

    /// Adds a header. The session's credential replaces whatever stands in its own field.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|request| request.header(name, value))
    }

    /// Sets headers, each in the place of those of its name.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|request| request.headers(headers))
    }

    /// Appends to the URL's query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.map(|request| request.query(query))
    }

    /// Sets the body. One that is streamed can be sent once only: it is neither retried nor replayed after a 401.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|request| request.body(body))
    }

    /// Sets the body to a form, and its content type.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.map(|request| request.form(form))
    }

    /// Sets the body to JSON, and its content type.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.map(|request| request.json(json))
    }

    /// Sets the body to a multipart form. It is streamed, and so sent once only.
    pub fn multipart(self, form: multipart::Form) -> Self {
        self.map(|request| request.multipart(form))
    }

    /// Bounds each attempt, from its start to the end of its answer's body, instead of the session's limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|request| request.timeout(timeout))
    }

    /// Sets the HTTP version.
    pub fn version(self, version: Version) -> Self {
        self.map(|request| request.version(version))
    }

    /// Says that sending the request twice has the effect of sending it once, so that it may be retried like a GET.
    pub fn idempotent(mut self) -> Self {
        self.options.effect = Some(Effect::Once);
        self
    }

    /// Changes for this request what is retried; the session's budget is drawn on all the same.
    ///
    /// ```no_run
    /// # async fn example(session: keyfob::Session) -> Result<(), keyfob::Error> {
    /// use http::StatusCode;
    ///
    /// let found = session.get("patient/7").retry(|policy| policy.retry(StatusCode::NOT_FOUND)).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, change: impl FnOnce(RetryPolicy) -> RetryPolicy) -> Self {
        let policy = self.options.retry.as_ref().unwrap_or(&self.sender.policy);
        self.options.retry = Some(Arc::new(
            change((**policy).clone()).sharing_budget_of(policy),
        ));
        self
    }

    /// The request as it is, without the credential.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a URL, a header or a body cannot be used.
    pub fn build(self) -> Result<Request, Error> {
        built(self.request?)
    }

    /// Sends the request with the credential on it, retries what is safe to retry, and heals one 401.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build); an authentication error if there is no valid token;
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if the credential may not go there; and the last attempt's
    /// [`ErrorKind::Transport`](crate::ErrorKind::Transport). Any status is an answer, not an error.
    pub async fn send(self) -> Result<Response, Error> {
        let request = built(self.request?)?;
        self.sender.execute(request, self.options).await
    }

    /// The same request again; `None` if its body is streamed, or if it cannot be used anyway.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        Some(Self {
            sender: Arc::clone(&self.sender),
            request: Ok(self.request.as_ref().ok()?.try_clone()?),
            options: self.options.clone(),
        })
    }

    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        Self {
            request: self.request.map(change),
            ..self
        }
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn built(request: reqwest::RequestBuilder) -> Result<Request, Error> {
    request.build().map_err(|cause| {
        Error::input("the request cannot be sent as it was built").caused_by(cause.without_url())
    })
}
