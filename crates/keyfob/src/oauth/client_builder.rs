//! The builder of a client.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::oauth::client::{Client, SharedClient};
use crate::oauth::client_authentication::ClientAuthentication;
use crate::oauth::discovery::{Discovery, ServerLocation};
use crate::oauth::dpop::DpopProver;
use crate::oauth::endpoint::{Endpoint, PlainHttp};
use crate::oauth::http_client::{HttpClient, HttpSettings};
use crate::oauth::metadata::{Document, EndpointRules, Endpoints, Metadata};
use crate::oauth::metadata_store::MetadataStore;
use crate::origin::ca_file::Trust;
use crate::origin::ca_file::trust_file;
use crate::origin::certified_client::Certificate;
use crate::origin::client_certificate::ClientCertificate;
use crate::token::token::check_scheme;

/// Configures and builds a [`Client`].
///
/// ```
/// use keyfob::oauth::Client;
///
/// let client = Client::builder("reports")
///     .token_endpoint("https://login.example.com/oauth/token")
///     .revocation_endpoint("https://login.example.com/oauth/revoke")
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    id: Option<String>,
    authentication: ClientAuthentication,
    /// The issuer and the endpoints that the application gave.
    server: Document,
    fhir_server: Option<String>,
    http: Option<reqwest::ClientBuilder>,
    trust: Option<Result<Trust<reqwest::ClientBuilder>, Error>>,
    certificate: Option<Arc<dyn Certificate<reqwest::ClientBuilder>>>,
    plain_http: Result<PlainHttp, Error>,
    prover: Option<DpopProver>,
    token_type: Option<String>,
    metadata_store: Option<MetadataStore>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Starts to configure a client with this identifier (`client_id`).
    pub fn builder(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            id: Some(id.into()),
            ..Self::builder_without_id()
        }
    }

    /// Starts to configure a client without an identifier.
    ///
    /// For a server that knows the client by its assertion, or needs to know only the token that is exchanged. No `client_id`
    /// is sent.
    ///
    /// ```
    /// use keyfob::FileToken;
    /// use keyfob::oauth::{Client, TokenExchange, TokenType};
    ///
    /// let client = Client::builder_without_id().token_endpoint("https://sts.example.com/v1/token").build()?;
    /// let workload = FileToken::new("/var/run/secrets/tokens/workload");
    /// let source = TokenExchange::new(client, workload, TokenType::Jwt).audience("//iam.example.com/pools/ci");
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn builder_without_id() -> ClientBuilder {
        ClientBuilder {
            id: None,
            authentication: ClientAuthentication::none(),
            server: Document::default(),
            fhir_server: None,
            http: None,
            trust: None,
            certificate: None,
            plain_http: Ok(PlainHttp::No),
            prover: None,
            token_type: None,
            metadata_store: None,
            timeout: Self::TIMEOUT,
            clock: Arc::new(SystemClock),
        }
    }
}

impl ClientBuilder {
    /// Sets how the client authenticates. Default: [`ClientAuthentication::none`].
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Names the server by its issuer, exactly as the server writes it (RFC 8414).
    ///
    /// The endpoints are discovered when they are first needed. If a [`token_endpoint`](Self::token_endpoint) is set as
    /// well, nothing is discovered, and the issuer only identifies the server.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.server.issuer = Some(issuer.into());
        self
    }

    /// Discovers the authorization server of a FHIR server at `.well-known/smart-configuration`.
    pub(crate) fn fhir_server(mut self, base: impl Into<String>) -> Self {
        self.fhir_server = Some(base.into());
        self
    }

    /// Sets the URL of the token endpoint, for servers without metadata.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.token_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the introspection endpoint (RFC 7662).
    ///
    /// It is used only together with a [`token_endpoint`](Self::token_endpoint).
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.introspection_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the revocation endpoint (RFC 7009).
    ///
    /// It is used only together with a [`token_endpoint`](Self::token_endpoint).
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.revocation_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the authorization endpoint (RFC 6749 §3.1).
    ///
    /// It is used only together with a [`token_endpoint`](Self::token_endpoint).
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.authorization_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the device authorization endpoint (RFC 8628 §3.1).
    ///
    /// It is used only together with a [`token_endpoint`](Self::token_endpoint).
    pub fn device_authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.device_authorization_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the pushed authorization request endpoint (RFC 9126 §2).
    ///
    /// It is used only together with a [`token_endpoint`](Self::token_endpoint).
    pub fn pushed_authorization_request_endpoint(mut self, url: impl Into<String>) -> Self {
        self.server.pushed_authorization_request_endpoint = Some(url.into());
        self
    }

    /// Binds the tokens to the prover's key (DPoP, RFC 9449).
    ///
    /// Each token request carries a proof. Give the same prover to the session, layer or middleware that sends the tokens.
    /// A server that returns a bearer token instead is an error.
    pub fn dpop(mut self, prover: DpopProver) -> Self {
        self.prover = Some(prover);
        self
    }

    /// Sends the tokens with this scheme, whatever `token_type` the server writes.
    ///
    /// For servers that write another type than `Bearer` and mean it, such as `BearerToken`, and for APIs with a scheme of
    /// their own. Without it, a token of another type than `Bearer` is an error; a missing type means `Bearer`.
    ///
    /// ```
    /// use keyfob::oauth::Client;
    ///
    /// let client = Client::builder("reports")
    ///     .token_endpoint("https://login.example.com/oauth/token")
    ///     .token_type("Bearer")
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn token_type(mut self, scheme: impl Into<String>) -> Self {
        self.token_type = Some(scheme.into());
        self
    }

    /// Keeps the metadata of the server in this store, so that not each process has to fetch them.
    pub(crate) fn metadata_store(mut self, store: MetadataStore) -> Self {
        self.metadata_store = Some(store);
        self
    }

    /// Uses your own HTTP client settings, for example for proxies or certificates.
    ///
    /// The client keeps no idle connections and follows no redirects, whatever the settings say. Without
    /// [`no_proxy`](reqwest::ClientBuilder::no_proxy), it uses the proxy of the environment even for plain `http` to
    /// loopback.
    pub fn http(mut self, client: reqwest::ClientBuilder) -> Self {
        self.http = Some(client);
        self
    }

    /// Trusts the certificate authorities in this file (PEM) and no others, for a server with a certificate of your own.
    ///
    /// The file is read now. If it is missing, empty or not in PEM, [`build`](Self::build) returns an error that names it.
    /// Without this setting the authorities of the system are trusted, or those in the file that the environment variable
    /// `SSL_CERT_FILE` names. It applies to the client of [`http`](Self::http) too.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.trust = Some(trust_file(path.as_ref()));
        self
    }

    /// Allows plain `http` to the server at this origin, such as `http://keycloak.auth.svc:8080`, inside a cluster.
    ///
    /// RFC 6749 §3.2 demands TLS: every machine on the network path can read the client's secrets and the tokens, and can
    /// answer in place of the server. The origin must be that of the issuer and of its endpoints, exactly. If the environment
    /// names a proxy for plain http, it gets the request, so list the host in `NO_PROXY`.
    ///
    /// ```
    /// use keyfob::oauth::Client;
    ///
    /// let client = Client::builder("reports")
    ///     .issuer("http://keycloak.auth.svc:8080/realms/main")
    ///     .allow_plain_http("http://keycloak.auth.svc:8080")
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn allow_plain_http(mut self, origin: impl AsRef<str>) -> Self {
        self.plain_http = origin.as_ref().parse().map(PlainHttp::To);
        self
    }

    /// Presents this certificate to the server (RFC 8705).
    ///
    /// It authenticates the client, if the authentication is [`ClientAuthentication::tls_client_auth`] or
    /// [`ClientAuthentication::self_signed_tls_client_auth`], and servers can bind tokens to it. If the metadata of the server
    /// name endpoints for clients with a certificate (`mtls_endpoint_aliases`, RFC 8705 §5), requests go to these.
    ///
    /// Each request opens a connection of its own, and so presents the certificate that is in its files by then. A client of
    /// [`http`](Self::http) has a certificate of its own, so [`build`](Self::build) refuses the two together.
    ///
    /// ```no_run
    /// use keyfob::ClientCertificate;
    /// use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
    ///
    /// let certificate = ClientCertificate::from_files("/etc/tls/tls.crt", "/etc/tls/tls.key")?;
    /// let client = Client::builder("reports")
    ///     .issuer("https://login.example.com")
    ///     .authentication(ClientAuthentication::tls_client_auth())
    ///     .client_certificate(&certificate)
    ///     .build()?;
    /// let session = keyfob::Session::builder(ClientCredentials::new(client))
    ///     .base_url("https://api.example.com/")
    ///     .client_certificate(&certificate)
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn client_certificate(mut self, certificate: &ClientCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate.clone()));
        self
    }

    /// Limits how long one request to the server may take in total.
    ///
    /// Default: [`Client::TIMEOUT`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Uses the clock of a cache.
    pub(crate) fn shared_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses another clock than the system's, for example in tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the client. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if neither an issuer nor a token endpoint is set, a URL is not absolute,
    /// or a CA file cannot be used, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain `http` to another machine.
    /// Also `Input` if [`token_type`](Self::token_type) is no scheme, or is set together with [`dpop`](Self::dpop).
    pub fn build(self) -> Result<Client, Error> {
        let given = self.server;
        let trust = self.trust.transpose()?;
        if let Some(scheme) = &self.token_type {
            check_scheme(scheme)?;
            if self.prover.is_some() {
                return Err(Error::input(
                    "tokens that are bound to a key have the type `DPoP`; remove `token_type` or the key",
                ));
            }
        }
        let by_certificate = self.authentication.is_by_certificate();
        if by_certificate && self.certificate.is_none() && self.http.is_none() {
            return Err(Error::input(
                "the client authenticates by its certificate, and has none; give it with `client_certificate`",
            ));
        }
        let rules = EndpointRules {
            endpoints: match by_certificate || self.certificate.is_some() {
                true => Endpoints::Mtls,
                false => Endpoints::Usual,
            },
            plain_http: self.plain_http?,
        };
        // A given token endpoint makes discovery unnecessary. An issuer then only identifies the server.
        let server = match (&given.token_endpoint, &given.issuer, self.fhir_server) {
            (None, Some(issuer), _) => {
                // Only checked here. The text is kept as it is, because discovery compares it exactly (RFC 8414 §3.3).
                Endpoint::parse_allowing("issuer", issuer, &rules.plain_http)?;
                ServerLocation::Issuer(issuer.clone())
            }
            (None, None, Some(base)) => {
                Endpoint::parse_allowing("FHIR server", &base, &rules.plain_http)?;
                ServerLocation::FhirServer(base)
            }
            _ => ServerLocation::Endpoints(Arc::new(Metadata::new(given, None, &rules)?)),
        };
        let authentication = self.authentication.for_server(&server);
        if self.id.is_none() && authentication.needs_id() {
            return Err(Error::input(format!(
                "the client authenticates by {}, which needs its identifier; give one",
                authentication.name()
            )));
        }
        Ok(Client(Arc::new(SharedClient {
            id: self.id,
            method: authentication.to_method(),
            authentication,
            discovery: Discovery::new(server, self.metadata_store, rules),
            http: HttpClient::new(HttpSettings {
                custom: self.http,
                trust,
                certificate: self.certificate,
                timeout: self.timeout,
                clock: Arc::clone(&self.clock),
            })?,
            prover: self.prover,
            token_type: self.token_type,
            clock: self.clock,
        })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("id", &self.id)
            .field("authentication", &self.authentication)
            .finish_non_exhaustive()
    }
}
