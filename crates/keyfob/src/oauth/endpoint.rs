//! One HTTP exchange with an authorization server: a POST of a form, or a GET of a document.
//!
//! The server receives secrets, but its responses are not trusted. At most [`MAX_RESPONSE_BYTES`] of a response are read. No
//! redirect is followed, because it would carry the form to whatever URL it names. No error quotes a response.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use huskarl_core::EndpointUrl;
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::exchange::outcome::{DEFAULT_TIMEOUT, Failure};
use crate::exchange::reqwest_failure::{Fault, classify};
use crate::exchange::retry_after::RetryAfter;
use crate::origin::ca_file::Trust;
use crate::origin::origin::{Origin, parse_url};

/// The URL for one kind of request to an authorization server.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// What errors call it, such as `token endpoint`.
    name: &'static str,
    pub(crate) url: Url,
    pub(crate) origin: Origin,
}

impl Endpoint {
    /// Reads a URL that may receive secrets: `https`, or plain `http` to loopback (RFC 6749 §3.2, R1).
    pub(crate) fn parse(name: &'static str, text: &str) -> Result<Self, Error> {
        let url = parse_url(text)?;
        let origin = Origin::from_url(&url)?;
        if !origin.is_https() && !origin.is_loopback() {
            return Err(Error::origin(format!(
                "the {name} at {origin} would receive secrets over plain http; give its https URL"
            )));
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::input(format!(
                "the URL of the {name} at {origin} has a fragment or userinfo; give it without"
            )));
        }
        Ok(Self { name, url, origin })
    }

    /// The same URL, in the form that the protocol library needs.
    pub(crate) fn to_endpoint_url(&self) -> Result<EndpointUrl, Error> {
        self.url
            .as_str()
            .parse()
            .map_err(|_| Error::input(format!("the URL of {self} cannot be used")))
    }
}

/// The name that errors use. It leaves out the path and the query, which may be confidential.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} at {}", self.name, self.origin)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.to_string()).finish()
    }
}

/// A complete response of an authorization server.
pub(crate) struct ServerResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Zeroed when the last reference is dropped.
    pub(crate) body: Bytes,
    /// The wall time at which the response arrived.
    received: SystemTime,
}

impl ServerResponse {
    /// Adds the pause that the server asks for (`Retry-After`) to the error that this response means.
    pub(crate) fn add_pause(&self, error: Error) -> Error {
        match RetryAfter::from_headers(&self.headers) {
            Some(pause) => error.retry_after(pause.wait(self.received)),
            None => error,
        }
    }

    /// Reads the body as JSON. The error quotes none of it.
    pub(crate) fn json<T: DeserializeOwned>(&self, endpoint: &Endpoint) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::malformed(format!(
                "{endpoint} sent a response that is not the expected JSON"
            ))
        })
    }
}

/// The HTTP client for authorization servers.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    /// A client without a proxy, for plain `http` to loopback. `None` if the application configured the client itself.
    direct: Option<reqwest::Client>,
    clock: Arc<dyn Clock>,
}

impl HttpClient {
    pub(crate) fn new(
        custom: Option<reqwest::ClientBuilder>,
        trust: Option<Trust<reqwest::ClientBuilder>>,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let trust = trust.unwrap_or_else(|| Box::new(|client| client));
        let build = |client: reqwest::ClientBuilder| {
            trust(client)
                .redirect(Policy::none())
                // Exchanges are rare, so an idle connection is often dead by the next one. Whether the server received the
                // refresh token that was written to a dead connection would be unknown.
                .pool_max_idle_per_host(0)
                .timeout(timeout)
                .build()
                .map_err(|cause| {
                    Error::input("the HTTP client cannot be built with these settings")
                        .caused_by(cause)
                })
        };
        let direct = custom.is_none().then(|| build(default_client().no_proxy()));
        let direct = direct.transpose()?;
        let client = build(custom.unwrap_or_else(default_client))?;
        Ok(Self {
            client,
            direct,
            clock,
        })
    }

    /// Sends a form, which may contain secrets.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        form: Zeroizing<String>,
    ) -> Result<ServerResponse, Error> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let body = Bytes::from_owner(form);
        self.exchange(Method::POST, endpoint, headers, body).await
    }

    /// Fetches a document that is not secret.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> Result<ServerResponse, Error> {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        self.exchange(Method::GET, endpoint, headers, body).await
    }

    async fn exchange(
        &self,
        method: Method,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<ServerResponse, Error> {
        // Some servers, such as GitHub's, respond with a form unless JSON is asked for.
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        let client = match &self.direct {
            // A proxy cannot reach this machine's loopback, and must not see the plain text.
            Some(direct) if endpoint.origin.is_plain_loopback() => direct,
            _ => &self.client,
        };
        let request = client.request(method, endpoint.url.clone());
        let request = request.headers(headers).body(body);
        let failed = |cause| exchange_failed(endpoint, cause);
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Zeroizing::new(Vec::with_capacity(TYPICAL_RESPONSE_BYTES));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            // Counted while reading, because the length that a response declares is not to be trusted.
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(Error::malformed(format!(
                    "{endpoint} sent a response of more than {MAX_RESPONSE_BYTES} bytes, which cannot be right"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(ServerResponse {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Bytes::from_owner(body),
            received: self.clock.coarse_time().wall_time(),
        })
    }
}

fn default_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().connect_timeout(DEFAULT_TIMEOUT)
}

/// T2: every failure of the transport is temporary.
fn exchange_failed(endpoint: &Endpoint, cause: reqwest::Error) -> Error {
    let failure = classify(&cause);
    let what = match failure {
        Failure::Connect => "cannot be reached",
        Failure::Timeout => "did not respond in time; it may have seen the request",
        Failure::Broken => "lost the connection; it may have seen the request",
        Failure::Final => "could not be sent the request",
    };
    let cause = Fault::Client(cause).report(&endpoint.origin.to_string());
    let error = Error::unavailable(format!("{endpoint} {what}")).caused_by(cause);
    match failure {
        // T9: if the request contained a refresh token, the server may have replaced it.
        Failure::Timeout | Failure::Broken => error.outcome_unknown(),
        Failure::Connect | Failure::Final => error,
    }
}

pub(crate) const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Enough for a usual response: a buffer that grows leaves a copy of the token behind.
const TYPICAL_RESPONSE_BYTES: usize = 16 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
