//! One exchange with an authorization server: a POST of a form or a GET, and what came of it.
//!
//! The server is trusted with secrets but not believed: at most [`LIMIT`] of an answer is read, no redirect is followed, for
//! it would carry the form to whomever it names, and nothing of an answer gets into an error.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use huskarl_core::EndpointUrl;
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::exchange::exchange::Failure;
use crate::exchange::reqwest_failure::{CONNECT_TIMEOUT, Fault, classify};
use crate::origin::origin::{Origin, parse_url};

/// Where one kind of request to an authorization server goes.
#[derive(Clone)]
pub(crate) struct Endpoint {
    name: &'static str,
    url: Url,
    origin: Origin,
}

impl Endpoint {
    /// Reads a URL that may get secrets: https, or plain http to this machine (RFC 6749 §3.2, R1).
    pub(crate) fn parse(name: &'static str, text: &str) -> Result<Self, Error> {
        let url = parse_url(text)?;
        let origin = Origin::from_url(&url)?;
        if !origin.is_https() && !origin.is_loopback() {
            return Err(Error::new(
                ErrorKind::Origin,
                format!(
                    "the {name} at {origin} would be sent secrets over plain http; give its https URL"
                ),
            ));
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::input(format!(
                "the URL of the {name} at {origin} has a fragment or userinfo; give it without"
            )));
        }
        Ok(Self { name, url, origin })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The same URL, as the protocol library writes it.
    pub(crate) fn to_endpoint_url(&self) -> Result<EndpointUrl, Error> {
        self.url
            .as_str()
            .parse()
            .map_err(|_| Error::input(format!("the URL of {self} cannot be used")))
    }
}

/// As errors call it: the kind of endpoint and its origin, whose path and query may be confidential.
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

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Wiped when the last reader is done.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; what it says otherwise is not shown.
    pub(crate) fn json<T: DeserializeOwned>(&self, endpoint: &Endpoint) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Error::malformed(format!(
                "{endpoint} answered with what is not the JSON that it should be"
            ))
        })
    }
}

/// The HTTP client for authorization servers.
pub(crate) struct Http {
    client: reqwest::Client,
    /// One that uses no proxy, for plain http to this machine; `None` where the client is the user's own.
    direct: Option<reqwest::Client>,
}

impl Http {
    pub(crate) fn new(
        own: Option<reqwest::ClientBuilder>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let build = |client: reqwest::ClientBuilder| {
            client
                .redirect(Policy::none())
                // Exchanges are rare: a connection that was kept would be dead by then as often as not, and whether
                // the server has seen a refresh token that went into it could not be told.
                .pool_max_idle_per_host(0)
                .timeout(timeout)
                .build()
                .map_err(|cause| {
                    Error::input("the HTTP client cannot be made as it was set").caused_by(cause)
                })
        };
        let direct = match own {
            Some(_) => None,
            None => Some(build(usual().no_proxy())?),
        };
        let client = build(own.unwrap_or_else(usual))?;
        Ok(Self { client, direct })
    }

    /// Sends a form that may hold secrets.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        form: Zeroizing<String>,
    ) -> Result<Answer, Error> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        let body = Bytes::from_owner(Zeroizing::new(std::mem::take(&mut *{ form }).into_bytes()));
        self.exchange(Method::POST, endpoint, headers, Some(body))
            .await
    }

    /// Asks for a document that is no secret.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> Result<Answer, Error> {
        self.exchange(Method::GET, endpoint, HeaderMap::new(), None)
            .await
    }

    async fn exchange(
        &self,
        method: Method,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, Error> {
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        let direct = self
            .direct
            .as_ref()
            .filter(|_| endpoint.origin.is_plain_loopback());
        let client = direct.unwrap_or(&self.client);
        let mut request = client
            .request(method, endpoint.url.clone())
            .headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let failed = |cause| unavailable(endpoint, cause);
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Zeroizing::new(Vec::with_capacity(USUAL));
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LIMIT {
                return Err(Error::malformed(format!(
                    "{endpoint} answered with more than {LIMIT} bytes, which is no answer to this question"
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Bytes::from_owner(body),
        })
    }
}

fn usual() -> reqwest::ClientBuilder {
    reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT)
}

/// T2: what went wrong on the way may pass.
fn unavailable(endpoint: &Endpoint, cause: reqwest::Error) -> Error {
    let failure = classify(&cause);
    let what = match failure {
        Failure::Connect => "could not be connected to",
        Failure::Timeout => "did not answer in time; it may have seen the request",
        Failure::Broken => "lost the connection; it may have seen the request",
        Failure::Final => "could not be asked",
    };
    let cause = Fault::Client(cause).report(&endpoint.origin.to_string());
    let error = Error::unavailable(format!("{endpoint} {what}")).caused_by(cause);
    match failure {
        Failure::Timeout | Failure::Broken => error.outcome_unknown(),
        Failure::Connect | Failure::Final => error,
    }
}

/// The most that is read of an answer, in bytes.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// Room for a usual answer, so that no copy is left behind by a buffer that grew.
const USUAL: usize = 16 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
