//! One HTTP exchange with an authorization server: a POST of a form, or a GET of a document.
//!
//! The server receives secrets, but its responses are not trusted. At most [`MAX_RESPONSE_BYTES`] of a response are read. No
//! redirect is followed, because it would carry the form to whatever URL it names. No error quotes a response.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::exchange::outcome::{DEFAULT_TIMEOUT, Failure};
use crate::exchange::proof::DPOP;
use crate::exchange::reqwest_failure::proxy::ProxiesFrom;
use crate::exchange::reqwest_failure::{Fault, is_unprocessed, tls};
use crate::oauth::content_coding::{DecodedBody, decode};
use crate::oauth::endpoint::{Endpoint, not_json};
use crate::oauth::response_body::{Body, is_whole_response, may_be_form, read_body, text};
use crate::oauth::sent_request::{SentBody, SentFlag, SentRequest};
use crate::origin::ca_file::{Trust, client_not_made};
use crate::origin::certified_client::{Certificate, CertifiedClient};
use crate::origin::loopback::LoopbackAddresses;
use crate::token::json::{FromObject, Object};

/// A complete response of an authorization server.
pub(crate) struct ServerResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Without its content coding. Zeroed when the last reference is dropped.
    body: Bytes,
    /// Whether the server marked the end of the body. Otherwise a broken connection looks like the end.
    is_delimited: bool,
    /// Whether the body may still have a content coding.
    may_be_coded: bool,
    request: SentRequest,
    /// The wall time at which the response arrived.
    pub(crate) received: SystemTime,
}

impl ServerResponse {
    /// A response that no server sent, for tests of what reads it.
    #[cfg(any(test, keyfob_fuzzing))]
    pub(crate) fn made_up(status: StatusCode, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            is_delimited: true,
            may_be_coded: false,
            request: SentRequest::default(),
            received: SystemTime::UNIX_EPOCH,
        }
    }

    /// Whether it is a page of HTML.
    pub(crate) fn is_page(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        kind.starts_with(b"text/html") || kind.starts_with(b"application/xhtml")
    }

    /// Reads the body: as JSON, or as a form.
    pub(crate) fn read(&self) -> Body {
        // An error needs no body. A success does, so an empty one without a length was cut off.
        let may_be_cut = !self.is_delimited && (self.status.is_success() || !self.body.is_empty());
        let read = read_body(&self.body);
        let has_no_end = match &read {
            Body::Cut => true,
            Body::Members(_) => may_be_form(&self.body),
            // Nothing in an error has to be readable.
            Body::Unreadable => {
                self.may_be_coded || (self.status.is_success() && may_be_form(&self.body))
            }
        };
        match read {
            _ if may_be_cut && has_no_end => Body::Cut,
            Body::Cut => Body::Unreadable,
            read => read,
        }
    }

    /// Whether this text may repeat a secret of the request.
    pub(crate) fn may_repeat(&self, text: &str) -> bool {
        self.request.has_secret_like(text)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        text(&self.body)
    }

    /// Reads the body as JSON of this type. The error quotes none of it.
    pub(crate) fn json<T: DeserializeOwned>(&self, endpoint: &Endpoint) -> Result<T, Error> {
        let text = text(&self.body);
        let read = serde_json::from_str(&text).map(|FromObject(value)| value);
        read.map_err(|_| not_json(endpoint))
    }

    /// Reads the body, which must have members. The error quotes none of it.
    pub(crate) fn object(&self, endpoint: &Endpoint) -> Result<Object, Error> {
        match self.read() {
            Body::Members(object) => Ok(object),
            Body::Cut | Body::Unreadable => Err(not_json(endpoint)),
        }
    }
}

/// The values of the headers that a profile or a program sets.
fn other_values(headers: &HeaderMap) -> Vec<HeaderValue> {
    let own = [ACCEPT, AUTHORIZATION, CONTENT_TYPE, DPOP];
    let others = headers.iter().filter(|(name, _)| !own.contains(name));
    others.map(|(_, value)| value.clone()).collect()
}

/// Why there is no complete response.
pub(crate) struct NoResponse {
    pub(crate) error: Error,
    /// Whether a part of the request was sent, so that the server may have processed it.
    pub(crate) was_sent: bool,
    /// Whether the server has said that it did not process the request.
    was_given_back: bool,
}

impl From<Error> for NoResponse {
    /// An error before the request is sent.
    fn from(error: Error) -> Self {
        Self {
            error,
            was_sent: false,
            was_given_back: false,
        }
    }
}

impl From<NoResponse> for Error {
    fn from(fault: NoResponse) -> Self {
        fault.error
    }
}

/// The HTTP client for authorization servers.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    /// A client without a proxy, for plain `http` to loopback. `None` if the application configured the client itself.
    direct: Option<reqwest::Client>,
    /// A client that presents a certificate.
    certified: Option<CertifiedClient<reqwest::Client>>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What an [`HttpClient`] is made of.
pub(crate) struct HttpSettings {
    /// The application's own client.
    pub(crate) custom: Option<reqwest::ClientBuilder>,
    pub(crate) trust: Option<Trust<reqwest::ClientBuilder>>,
    pub(crate) certificate: Option<Arc<dyn Certificate<reqwest::ClientBuilder>>>,
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl HttpClient {
    pub(crate) fn new(settings: HttpSettings) -> Result<Self, Error> {
        let timeout = settings.timeout;
        let trust = settings.trust.unwrap_or_else(|| Box::new(|client| client));
        let build = Arc::new(move |client: reqwest::ClientBuilder| {
            trust(client)
                .redirect(Policy::none())
                // Exchanges are rare, so an idle connection is often dead by the next one. Whether the server received the
                // refresh token that was written to a dead connection would be unknown.
                .pool_max_idle_per_host(0)
                .timeout(timeout)
                // A body that cannot be decoded is a complete response all the same, so it is decoded here.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .build()
                .map_err(client_not_made)
        });
        let is_custom = settings.custom.is_some();
        let certified = match settings.certificate {
            Some(_) if is_custom => {
                return Err(Error::input(
                    "an HTTP client of your own presents a certificate of its own; give it the certificate, and leave out \
                     `client_certificate`",
                ));
            }
            Some(certificate) => {
                let build = Arc::clone(&build);
                let finish = move |client| build(client);
                Some(CertifiedClient::new(certificate, default_client, finish)?)
            }
            None => None,
        };
        let direct = (!is_custom).then(|| build(direct_client())).transpose()?;
        let client = build(settings.custom.unwrap_or_else(default_client))?;
        Ok(Self {
            client,
            direct,
            certified,
            clock: settings.clock,
        })
    }

    /// Sends a form, which may contain secrets.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        form: Zeroizing<String>,
    ) -> Result<ServerResponse, NoResponse> {
        self.post_as(FORM, endpoint, headers, form).await
    }

    /// Sends JSON, such as the description of a client.
    pub(crate) async fn post_json(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
        json: String,
    ) -> Result<ServerResponse, NoResponse> {
        let json = Zeroizing::new(json);
        self.post_as(JSON, endpoint, headers, json).await
    }

    async fn post_as(
        &self,
        content_type: &'static str,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        body: Zeroizing<String>,
    ) -> Result<ServerResponse, NoResponse> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.send(Method::POST, endpoint, headers, Some(body)).await
    }

    /// Sends a request that may contain secrets.
    pub(crate) async fn send(
        &self,
        method: Method,
        endpoint: &Endpoint,
        headers: HeaderMap,
        body: Option<Zeroizing<String>>,
    ) -> Result<ServerResponse, NoResponse> {
        let (has_body, body) = (body.is_some(), Bytes::from_owner(body.unwrap_or_default()));
        let content = SentRequest {
            form: body.clone(),
            authorization: headers.get(AUTHORIZATION).cloned(),
            other_headers: other_values(&headers),
        };
        let send = async || {
            let (body, sent) = SentBody::new(body.clone());
            let mut request = self.request(method.clone(), endpoint, headers.clone());
            if has_body {
                request = request.body(reqwest::Body::wrap(body));
            }
            self.receive(endpoint, request, &sent).await
        };
        let response = match send().await {
            // The new connection goes to the server that takes over.
            Err(fault) if fault.was_given_back => send().await?,
            result => result?,
        };
        Ok(ServerResponse {
            request: content,
            ..response
        })
    }

    /// Fetches a document that is not secret.
    pub(crate) async fn get(&self, endpoint: &Endpoint) -> Result<ServerResponse, Error> {
        let request = self.request(Method::GET, endpoint, HeaderMap::new());
        // Nothing is used up by it, whatever becomes of it.
        let response = self.receive(endpoint, request, &SentFlag::default()).await;
        response.map_err(|fault| fault.error.outcome_known())
    }

    pub(crate) fn request(
        &self,
        method: Method,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
    ) -> reqwest::RequestBuilder {
        // Some servers, such as GitHub's, respond with a form unless JSON is asked for.
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static(JSON));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let certified = self.certified.as_ref().map(CertifiedClient::current);
        let client = match (&self.direct, &certified) {
            // A proxy cannot reach this machine's loopback, and must not see the plain text.
            (Some(direct), _) if endpoint.origin.is_plain_loopback() => direct,
            (_, Some(certified)) => certified,
            _ => &self.client,
        };
        client
            .request(method, endpoint.url.clone())
            .headers(headers)
    }

    /// Sends a request, and returns the response with its body unread.
    pub(crate) async fn open(
        &self,
        endpoint: &Endpoint,
        request: reqwest::RequestBuilder,
        sent: &SentFlag,
    ) -> Result<reqwest::Response, NoResponse> {
        let proxies = match self.direct {
            Some(_) => ProxiesFrom::Environment,
            None => ProxiesFrom::Application,
        };
        match request.send().await {
            Ok(response) => Ok(response),
            Err(cause) => {
                if is_unprocessed(&cause) {
                    let fault = no_response(endpoint, Fault::Client(cause), false);
                    return Err(NoResponse {
                        was_given_back: true,
                        ..fault
                    });
                }
                let fault = Fault::of_client(cause, proxies).await;
                match sent.is_set() && !self.is_without_accepted_certificate(&fault) {
                    true => Err(no_response(endpoint, fault.after_handshake(), true)),
                    false => Err(no_response(endpoint, fault, false)),
                }
            }
        }
    }

    /// Whether the server refused the client's certificate, or the lack of one: it reads a request only after it has accepted
    /// the certificate.
    fn is_without_accepted_certificate(&self, fault: &Fault) -> bool {
        match (fault, &self.certified) {
            (Fault::Client(cause), Some(_)) => tls::is_about_client_certificate(cause),
            // Without a certificate, the other alerts are about something else, such as the request.
            (Fault::Client(cause), None) => tls::demands_client_certificate(cause),
            _ => false,
        }
    }

    async fn receive(
        &self,
        endpoint: &Endpoint,
        request: reqwest::RequestBuilder,
        sent: &SentFlag,
    ) -> Result<ServerResponse, NoResponse> {
        let mut response = self.open(endpoint, request, sent).await?;
        let mut body = Zeroizing::new(Vec::with_capacity(TYPICAL_RESPONSE_BYTES));
        let end = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(cause) => break Err(Fault::Client(cause).after_handshake()),
            };
            // Counted while reading, because the length that a response declares is not to be trusted.
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(too_long(endpoint, sent.is_set()));
            }
            body.extend_from_slice(&chunk);
        };
        let DecodedBody { body, may_be_coded } =
            decode(response.headers(), body, MAX_RESPONSE_BYTES)
                .ok_or_else(|| too_long(endpoint, sent.is_set()))?;
        let is_delimited = match end {
            Ok(()) => is_delimited(&response),
            // Some servers declare a wrong length, leave out the last chunk, or close without the `close_notify` of TLS.
            Err(_) if is_whole_response(&body) => false,
            Err(fault) => return Err(no_response(endpoint, fault, sent.is_set())),
        };
        Ok(ServerResponse {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Bytes::from_owner(body),
            is_delimited,
            may_be_coded,
            request: SentRequest::default(),
            received: self.clock.coarse_time().wall_time(),
        })
    }
}

/// A client for the metadata service of a platform: no proxy can reach it, and none must see what it says.
pub(crate) fn metadata_client() -> reqwest::ClientBuilder {
    let client = default_client().no_proxy();
    client.connect_timeout(METADATA_CONNECT_TIMEOUT)
}

/// For plain http to this machine alone.
fn direct_client() -> reqwest::ClientBuilder {
    let client = default_client().no_proxy();
    client.dns_resolver(LoopbackAddresses::shared())
}

pub(crate) fn default_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().connect_timeout(DEFAULT_TIMEOUT)
}

/// Whether the server marked the end of the body (RFC 9112 §6.3).
fn is_delimited(response: &reqwest::Response) -> bool {
    if response.version() >= Version::HTTP_2 || response.status() == StatusCode::NO_CONTENT {
        return true;
    }
    let headers = response.headers();
    // Only `chunked` marks the end, and a length next to another coding does not count.
    match headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        Some(codings) => {
            let codings = codings.to_str().unwrap_or_default();
            let last = codings.rsplit(',').next().unwrap_or_default();
            last.trim().eq_ignore_ascii_case("chunked")
        }
        None => headers.contains_key(CONTENT_LENGTH),
    }
}

/// T2: every failure of the transport is temporary.
fn no_response(endpoint: &Endpoint, fault: Fault, was_sent: bool) -> NoResponse {
    if let Fault::Client(cause) = &fault {
        // The resolver refused the addresses of the host.
        if let Some(error) = Error::find(cause) {
            return NoResponse {
                was_sent,
                ..error.clone().into()
            };
        }
    }
    let what = match (fault.failure(), was_sent) {
        (Failure::Timeout, true) => "did not respond in time; it may have seen the request",
        (_, true) => "lost the connection; it may have seen the request",
        // Whatever happened, nothing was written to a connection.
        (Failure::Final, false) => "could not be sent the request",
        (_, false) => "cannot be reached",
    };
    let cause = fault.report(&endpoint.origin.to_string());
    NoResponse {
        was_sent,
        ..Error::unavailable(format!("{endpoint} {what}"))
            .caused_by(cause)
            .into()
    }
}

fn too_long(endpoint: &Endpoint, was_sent: bool) -> NoResponse {
    let error = Error::malformed(format!(
        "{endpoint} sent a response of more than {MAX_RESPONSE_BYTES} bytes, which cannot be right"
    ));
    NoResponse {
        was_sent,
        ..error.into()
    }
}

/// A metadata service is on the same host. Elsewhere, nothing answers at its address.
const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Enough for a usual response: a buffer that grows leaves a copy of the token behind.
const TYPICAL_RESPONSE_BYTES: usize = 16 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
