//! A protected resource, and who issues tokens for it (RFC 9728).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use url::{Position, Url};

use crate::clock::system::SystemClock;
use crate::error::error::{Error, ErrorKind};
use crate::error::printable::printable;
use crate::exchange::challenge::{Challenge, Challenges};
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::oauth::bounded_client::{BoundedClient, BoundedSettings, ResponseHead};
use crate::oauth::endpoint::Endpoint;
use crate::oauth::metadata::url_fault;
use crate::origin::ca_file::trust_file;
use crate::origin::origin::parse_url;
use crate::token::json::{Json, Object};

/// An API or another resource that names who issues tokens for it (RFC 9728), such as an MCP server.
///
/// It is found with the resource's URL alone: the challenge of a 401 names the resource's metadata, or else they are at a
/// well-known path. They name the resource, its authorization servers and its scopes. Show the person the server before they
/// sign in there: the resource chose it.
///
/// ```no_run
/// use keyfob::oauth::{AuthorizationCode, Client, ProtectedResource, RegistrationRequest};
///
/// # async fn example() -> Result<(), keyfob::Error> {
/// let resource = ProtectedResource::discover("https://mcp.example.com/mcp").await?;
/// let issuer = &resource.authorization_servers()[0];
/// println!("{} asks you to sign in at {issuer}", resource.resource());
///
/// let server = resource.authorization_server(issuer).await?;
/// let request = RegistrationRequest::new("our tool", "http://127.0.0.1:8400/callback")?;
/// let registration = server.register(&request).await?;
///
/// let client = Client::builder(registration.client_id()).issuer(issuer).build()?;
/// let sign_in = AuthorizationCode::new(client)
///     .redirect_uri(registration.redirect_uri())?
///     .resource(resource.resource())
///     .scopes(resource.scopes());
/// let token = sign_in.start().await?.wait().await?;
/// # Ok(())
/// # }
/// ```
///
/// The resource is not trusted. What it names is fetched over `https` only, or over plain `http` on this machine if the resource
/// is there too; never from a private network, the local link or this machine, unless the resource is there itself. No redirect
/// is followed, and responses are limited in length and time.
#[derive(Clone)]
pub struct ProtectedResource {
    pub(super) client: Arc<BoundedClient>,
    document: ResourceDocument,
    scopes: Vec<String>,
}

/// The members of the metadata that are used.
#[derive(Clone, Debug)]
pub(crate) struct ResourceDocument {
    pub(crate) resource: String,
    authorization_servers: Vec<String>,
    scopes: Vec<String>,
    requires_dpop: bool,
    requires_certificate: bool,
}

/// Finds a [`ProtectedResource`], with settings of the HTTP client.
///
/// ```no_run
/// use keyfob::oauth::ProtectedResource;
///
/// # async fn example() -> Result<(), keyfob::Error> {
/// let discovery = ProtectedResource::builder("https://mcp.example.com/mcp");
/// let resource = discovery.ca_file("/etc/ssl/our-authority.pem").discover().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct ProtectedResourceBuilder {
    url: String,
    timeout: Duration,
    ca_file: Option<std::path::PathBuf>,
}

impl ProtectedResource {
    /// Finds the resource at this URL, and its metadata (RFC 9728 §3, §5).
    ///
    /// Sends a GET without a token to the URL. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the URL is not absolute, or there are no metadata;
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if the URL is plain `http` to another machine, or the resource names a
    /// URL that it may not name; [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the metadata are those of another
    /// resource (RFC 9728 §3.3); [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if they cannot be used;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if a server cannot be reached.
    pub async fn discover(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).discover().await
    }

    /// Starts to configure how a resource is found.
    pub fn builder(url: impl Into<String>) -> ProtectedResourceBuilder {
        ProtectedResourceBuilder {
            url: url.into(),
            timeout: DEFAULT_TIMEOUT,
            ca_file: None,
        }
    }

    /// The identifier of the resource, for the parameter `resource` of requests for tokens (RFC 8707).
    ///
    /// It is the URL itself, or a URL of the same origin whose path is a part of the URL's path.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.document.resource
    }

    /// The issuers of the authorization servers, at least one, in the order of the metadata.
    ///
    /// The resource wrote them: show them with [`printable`](crate::error::printable) only.
    #[must_use]
    pub fn authorization_servers(&self) -> &[String] {
        &self.document.authorization_servers
    }

    /// The scopes that the challenge asks for, or else all that the metadata list (RFC 6750 §3, RFC 9728 §2).
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the resource accepts only tokens that are bound to a key by DPoP (RFC 9449).
    #[must_use]
    pub fn requires_dpop(&self) -> bool {
        self.document.requires_dpop
    }

    /// Whether the resource accepts only tokens that are bound to a client certificate (RFC 8705).
    #[must_use]
    pub fn requires_certificate(&self) -> bool {
        self.document.requires_certificate
    }
}

impl ProtectedResourceBuilder {
    /// Trusts the certificate authorities in this file (PEM) and no others, at every server.
    pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Limits how long each request may take in total. Default: [`Client::TIMEOUT`](crate::oauth::Client::TIMEOUT).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Finds the resource, as [`ProtectedResource::discover`].
    ///
    /// # Errors
    ///
    /// As [`ProtectedResource::discover`]; [`ErrorKind::Input`](crate::ErrorKind::Input) if the CA file cannot be used.
    pub async fn discover(self) -> Result<ProtectedResource, Error> {
        let trust = self.ca_file.as_deref().map(trust_file).transpose()?;
        let settings = BoundedSettings {
            trust: trust.map(Arc::new),
            timeout: self.timeout,
            clock: Arc::new(SystemClock),
        };
        let url = Endpoint::parse("resource", &self.url)?;
        let (client, head) = BoundedClient::of_server(&settings, &url).await?;
        let challenges = Challenges::from_headers(&head.headers);
        let challenge = Challenged::of(&challenges);
        let document = match challenge.metadata {
            Some(named) => named_document(&client, &url, named).await?,
            None => well_known_document(&client, &url, &head).await?,
        };
        let scopes = match challenge.scope {
            Some(scope) => read_scopes(scope.split_ascii_whitespace())?,
            None => document.scopes.clone(),
        };
        Ok(ProtectedResource {
            client: Arc::new(client),
            document,
            scopes,
        })
    }
}

/// What the challenge of a resource says about the sign-in.
#[derive(Default)]
struct Challenged<'a> {
    metadata: Option<&'a str>,
    scope: Option<&'a str>,
}

impl<'a> Challenged<'a> {
    fn of(challenges: &'a Challenges) -> Self {
        let ours = || {
            let tokens = |challenge: &&Challenge| challenge.is("Bearer") || challenge.is("DPoP");
            challenges.iter().filter(tokens)
        };
        let with_metadata = ours().find(|challenge| challenge.parameter(METADATA).is_some());
        let found = with_metadata.or_else(|| ours().next());
        found.map_or_else(Self::default, |challenge| Self {
            metadata: challenge.parameter(METADATA),
            scope: challenge.scope(),
        })
    }
}

/// The document at the URL that the challenge names (RFC 9728 §5.1).
async fn named_document(
    client: &BoundedClient,
    url: &Endpoint,
    named: &str,
) -> Result<ResourceDocument, Error> {
    let endpoint = Endpoint::parse(DOCUMENT, named).map_err(|error| match error.kind() {
        ErrorKind::Input => Error::input(format!(
            "the challenge of {url} names no usable metadata document: its URL {}; write a profile with the issuer that it accepts",
            url_fault(named)
        )),
        _ => error,
    })?;
    let found = fetch(client, url, &endpoint).await?;
    found.map_err(|status| {
        Error::unavailable(format!(
            "{endpoint}, which the challenge of the resource names, cannot be fetched ({})",
            status.as_u16()
        ))
    })
}

/// The document at a well-known path: with the path of the URL, or else at the root (RFC 9728 §3.1).
async fn well_known_document(
    client: &BoundedClient,
    url: &Endpoint,
    head: &ResponseHead,
) -> Result<ResourceDocument, Error> {
    let mut fault = None;
    for endpoint in well_known_urls(&url.url)? {
        match fetch(client, url, &endpoint).await {
            Ok(Ok(document)) => return Ok(document),
            Ok(Err(_)) => {}
            // A server that has a page for each path sends that one, and not 404.
            Err(error) => fault = Some(error),
        }
    }
    Err(fault.unwrap_or_else(|| no_document(url, head)))
}

fn no_document(url: &Endpoint, head: &ResponseHead) -> Error {
    let status = head.status.as_u16();
    let why = match head.status {
        status if status.is_redirection() => {
            "redirects are not followed; give the URL that it redirects to"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "write a profile with the issuer that it accepts"
        }
        _ => "perhaps it needs no token, or it has another path",
    };
    Error::input(format!(
        "{url} responds with {status} and does not say where to sign in: it has no protected resource metadata (RFC 9728); {why}"
    ))
}

/// `None` for the status of a response that is no document.
async fn fetch(
    client: &BoundedClient,
    url: &Endpoint,
    endpoint: &Endpoint,
) -> Result<Result<ResourceDocument, StatusCode>, Error> {
    let response = client.client_for(endpoint).await?.get(endpoint).await?;
    if response.status != StatusCode::OK {
        return Ok(Err(response.status));
    }
    let object = response.object(endpoint)?;
    ResourceDocument::read(&object, &url.url, endpoint).map(Ok)
}

/// The URLs of a resource's metadata: the well-known part goes before the path and the query (RFC 9728 §3.1).
fn well_known_urls(url: &Url) -> Result<Vec<Endpoint>, Error> {
    let mut root = url.clone();
    root.set_path(WELL_KNOWN);
    let mut urls = Vec::new();
    if url.path() != "/" || url.query().is_some() {
        let mut with_path = url.clone();
        with_path.set_path(&format!("{WELL_KNOWN}{}", url.path().trim_end_matches('/')));
        urls.push(with_path);
    }
    root.set_query(None);
    urls.push(root);
    let urls = urls.iter();
    urls.map(|url| Endpoint::parse(DOCUMENT, url.as_str()))
        .collect()
}

impl ResourceDocument {
    /// Reads the metadata of the resource at this URL. The error quotes nothing that cannot be shown.
    pub(crate) fn read(object: &Object, url: &Url, source: &Endpoint) -> Result<Self, Error> {
        let unusable = |why: &str| Error::malformed(format!("{source} {why}"));
        let Some(resource) = object.text("resource") else {
            return Err(unusable("names no resource (RFC 9728 §2)"));
        };
        // RFC 9728 §3.3: otherwise "the data contained in the response MUST NOT be used".
        if !is_resource_of(resource, url) {
            return Err(Error::refused(format!(
                "{source} describes another resource than the one at the given URL: it names `{}`",
                shown_url(resource)
            )));
        }
        let authorization_servers = texts(object, "authorization_servers");
        if authorization_servers.is_empty() {
            return Err(unusable("names no authorization server"));
        }
        // An absent list says nothing. "The empty array [] can be used to indicate that no bearer methods are supported."
        if object.has("bearer_methods_supported")
            && !texts(object, "bearer_methods_supported").contains(&"header".to_owned())
        {
            return Err(unusable(
                "does not accept tokens in the header `Authorization`, and keyfob sends them nowhere else",
            ));
        }
        let is_true = |name| matches!(object.get(name), Some(Json::Bool(true)));
        let scopes = texts(object, "scopes_supported");
        Ok(Self {
            resource: resource.to_owned(),
            authorization_servers,
            scopes: read_scopes(scopes.iter().map(String::as_str))?,
            requires_dpop: is_true("dpop_bound_access_tokens_required"),
            requires_certificate: is_true("tls_client_certificate_bound_access_tokens"),
        })
    }
}

/// Whether metadata of this resource hold for a URL: the same origin, and a path that is the URL's or the beginning of it.
///
/// RFC 9728 §3.3 requires the resource to be the one that was asked for. Servers name one resource for all URLs below it, as the
/// Model Context Protocol allows.
fn is_resource_of(resource: &str, url: &Url) -> bool {
    let is_plain = resource.bytes().all(|byte| byte.is_ascii_graphic());
    let Ok(found) = parse_url(resource) else {
        return false;
    };
    // RFC 8707 §2: "MUST NOT include a fragment component".
    if !is_plain || found.fragment().is_some() || found.origin() != url.origin() {
        return false;
    }
    if !found.username().is_empty() || found.password().is_some() {
        return false;
    }
    if found.query().is_some() {
        return found[Position::BeforePath..Position::AfterQuery]
            == url[Position::BeforePath..Position::AfterQuery];
    }
    let folder = found.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(folder);
    // Whole segments only: `/v1` does not cover `/v11`.
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The texts in a list; an element of another type counts as absent.
fn texts(object: &Object, name: &str) -> Vec<String> {
    let Some(Json::List(values)) = object.get(name) else {
        return Vec::new();
    };
    let texts = values.iter().filter_map(|value| match value {
        Json::Text(text) => Some(text.to_string()),
        _ => None,
    });
    texts.collect()
}

/// Scopes that a server wrote, each a scope token (RFC 6749 §3.3).
fn read_scopes<'a>(scopes: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Error> {
    let mut read: Vec<String> = Vec::new();
    let mut length = 0;
    for scope in scopes {
        let is_token = |byte: u8| {
            byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte)
        };
        length += scope.len() + 1;
        if scope.is_empty() || !scope.bytes().all(is_token) || length > MAX_SCOPE_LENGTH {
            return Err(Error::malformed(
                "the resource names scopes that no authorization request can contain; name the scopes yourself, in a profile",
            ));
        }
        if !read.iter().any(|other| other == scope) {
            read.push(scope.to_owned());
        }
    }
    Ok(read)
}

/// A URL that a server wrote, without the parts that may be confidential.
pub(crate) fn shown_url(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let url = format!("{}{}", url.origin().ascii_serialization(), url.path());
            printable(url.chars().take(MAX_SHOWN).collect::<String>())
        }
        _ => "a text that is no URL".to_owned(),
    }
}

impl fmt::Debug for ProtectedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResource")
            .field("document", &self.document)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProtectedResourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedResourceBuilder")
            .finish_non_exhaustive()
    }
}

const DOCUMENT: &str = "protected resource metadata";
const METADATA: &str = "resource_metadata";
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// An authorization request has its scopes in a URL, which servers limit to about as much.
const MAX_SCOPE_LENGTH: usize = 4096;

const MAX_SHOWN: usize = 200;
