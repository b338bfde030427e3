//! A client of an authorization server: who it is, and where the server is asked.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::lock::Mutex;
use http::HeaderMap;
use huskarl_core::client_auth;
use huskarl_core::client_auth::AuthenticationContext;

#[cfg(feature = "oauth")]
use crate::client::dpop_setter::dpop_setter;
use crate::clock::clock::{Clock, SystemClock};
use crate::error::error::{Error, ErrorKind};
#[cfg(not(feature = "oauth"))]
use crate::exchange::no_dpop::{DPOP, DpopProver, dpop_setter};
use crate::oauth::client_authentication::{ClientAuthentication, unusable};
#[cfg(feature = "oauth")]
use crate::oauth::dpop::{DPOP, DpopProver};
use crate::oauth::endpoint::{Answer, Endpoint, Http};
use crate::oauth::error_response::{refusal, wants_nonce};
use crate::oauth::form::Form;
use crate::oauth::metadata::Metadata;
use crate::oauth::token_response::Kind;
use crate::oauth::{metadata, token_response};
use crate::token::token::Token;

/// A client that is registered at an authorization server (RFC 6749 §2).
///
/// It is what all grants are made from. The server is named by its issuer, which is asked for the rest when it is first
/// needed, or by the URL of its token endpoint. Clones share what the server said.
///
/// ```
/// use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
///
/// let client = Client::builder("reports")
///     .issuer("https://login.example.com")
///     .authentication(ClientAuthentication::secret_basic("s3cr3t"))
///     .build()?;
/// let source = ClientCredentials::new(client).scopes(["reports:read"]);
/// let session = keyfob::Session::new("https://api.example.com/v1/", source)?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    id: String,
    authentication: ClientAuthentication,
    method: Arc<dyn client_auth::ClientAuthentication>,
    pub(super) server: Server,
    http: Http,
    pub(super) prover: Option<DpopProver>,
    clock: Arc<dyn Clock>,
    /// What the server said, and when.
    said: Mutex<Option<(Duration, Arc<Metadata>)>>,
}

/// How a server is known.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    Endpoints(Arc<Metadata>),
    Issuer(String),
    Fhir(String),
}

impl Client {
    /// How long nothing may take at the authorization server, unless set.
    pub const TIMEOUT: Duration = Duration::from_secs(20);

    /// How long it is believed what a server said about itself.
    pub const METADATA_LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// A client of this name (`client_id`).
    pub fn builder(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            id: id.into(),
            authentication: ClientAuthentication::none(),
            issuer: None,
            fhir_server: None,
            token_endpoint: None,
            introspection_endpoint: None,
            revocation_endpoint: None,
            authorization_endpoint: None,
            device_authorization_endpoint: None,
            http: None,
            prover: None,
            timeout: Self::TIMEOUT,
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// Its name at the server (`client_id`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Where the server is asked for what; asks the server for that if it was not asked lately.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, Error> {
        let inner = &*self.0;
        if let Server::Endpoints(metadata) = &inner.server {
            return Ok(Arc::clone(metadata));
        }
        let mut said = inner.said.lock().await;
        let now = inner.clock.elapsed();
        if let Some((since, metadata)) = &*said
            && now.saturating_sub(*since) < Self::METADATA_LIFETIME
        {
            return Ok(Arc::clone(metadata));
        }
        match (inner.discover().await, &*said) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                *said = Some((now, Arc::clone(&metadata)));
                Ok(metadata)
            }
            // What it said before is better than nothing while it cannot be asked.
            (Err(error), Some((_, before))) if error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(target: "keyfob", %error, "the metadata of the authorization server are used on");
                Ok(Arc::clone(before))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The clock that it tells the time by.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Asks for a token; the form says by which grant.
    pub(crate) async fn request_token(&self, form: Form) -> Result<Token, Error> {
        let metadata = self.metadata().await?;
        let answer = self.ask_for_token(&metadata, form).await?;
        self.token_in(&metadata, answer)
    }

    /// Asks for a token; answers whatever the server says.
    pub(crate) async fn ask_for_token(
        &self,
        metadata: &Metadata,
        form: Form,
    ) -> Result<Answer, Error> {
        let Some(prover) = &self.0.prover else {
            return self
                .send(&metadata.token, metadata, HeaderMap::new(), form)
                .await;
        };
        let again = form.again();
        let answer = self.prove(prover, metadata, form).await?;
        if wants_nonce(&answer) {
            // RFC 9449 §8: a request that lacked it was not processed.
            return self.prove(prover, metadata, again).await;
        }
        Ok(answer)
    }

    /// The token in what the token endpoint said, unless it refused.
    pub(crate) fn token_in(&self, metadata: &Metadata, answer: Answer) -> Result<Token, Error> {
        let kind = match self.0.prover {
            Some(_) => Kind::Dpop,
            None => Kind::Bearer,
        };
        let answer = self.unless_refused(&metadata.token, answer)?;
        token_response::token(&metadata.token, &answer, kind)
    }

    /// Asks for a token that is bound to the key of which this request has a proof.
    async fn prove(
        &self,
        prover: &DpopProver,
        metadata: &Metadata,
        form: Form,
    ) -> Result<Answer, Error> {
        let endpoint = &metadata.token;
        let url = endpoint.url().as_str();
        let proof = prover.prove_grant(url, self.0.wall_time())?;
        let fields = HeaderMap::from_iter([(DPOP, proof)]);
        let answer = self.send(endpoint, metadata, fields, form).await?;
        prover.record_issuer_nonce(url, answer.status, &answer.headers);
        Ok(answer)
    }

    /// Sends a form with who asks; answers what the server says if it does not refuse.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        form: Form,
    ) -> Result<Answer, Error> {
        let answer = self.send(endpoint, metadata, HeaderMap::new(), form).await;
        self.unless_refused(endpoint, answer?)
    }

    pub(crate) fn unless_refused(
        &self,
        endpoint: &Endpoint,
        answer: Answer,
    ) -> Result<Answer, Error> {
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(refusal(endpoint, &answer, self.0.wall_time()))
        }
    }

    /// Sends a form with who asks, and with these fields; answers whatever the server says.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
        fields: HeaderMap,
        form: Form,
    ) -> Result<Answer, Error> {
        let inner = &*self.0;
        let target = endpoint.to_endpoint_url()?;
        let token_endpoint = metadata.token.to_endpoint_url()?;
        let context = AuthenticationContext::builder()
            .client_id(&inner.id)
            .target_endpoint(&target)
            .maybe_issuer(metadata.issuer.as_deref())
            .token_endpoint(&token_endpoint)
            .build();
        let who = inner.method.authentication_context(context).await;
        let (mut headers, form) = form.authenticated(who.map_err(unusable)?)?;
        headers.extend(fields);
        inner.http.post(endpoint, headers, form).await
    }
}

impl Inner {
    async fn discover(&self) -> Result<Metadata, Error> {
        let now = || self.wall_time();
        match &self.server {
            Server::Endpoints(metadata) => Ok((**metadata).clone()),
            Server::Issuer(issuer) => Metadata::of_issuer(&self.http, issuer, now).await,
            Server::Fhir(base) => Metadata::of_fhir_server(&self.http, base, now).await,
        }
    }

    fn wall_time(&self) -> SystemTime {
        self.clock.coarse_time().wall_time()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.0.id)
            .field("authentication", &self.0.authentication)
            .field("server", &self.0.server)
            .finish_non_exhaustive()
    }
}

/// Makes a [`Client`].
#[must_use]
pub struct ClientBuilder {
    id: String,
    authentication: ClientAuthentication,
    issuer: Option<String>,
    fhir_server: Option<String>,
    token_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    http: Option<reqwest::ClientBuilder>,
    prover: Option<DpopProver>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl ClientBuilder {
    /// Says who the client is; [`ClientAuthentication::none`] unless set.
    pub fn authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// Names the server, exactly as it names itself; it is asked for its endpoints when they are first needed.
    ///
    /// With a [`token_endpoint`](Self::token_endpoint) nothing is asked, and this is only its name.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Names a FHIR server that is asked for its authorization server (`.well-known/smart-configuration`).
    pub(crate) fn fhir_server(mut self, base: impl Into<String>) -> Self {
        self.fhir_server = Some(base.into());
        self
    }

    /// Sets the URL of the token endpoint, for servers that say nothing about themselves.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the introspection endpoint (RFC 7662), beside that of the token endpoint.
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.introspection_endpoint = Some(url.into());
        self
    }

    /// Sets the URL of the revocation endpoint (RFC 7009), beside that of the token endpoint.
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// Sets the URL at which a person signs in (RFC 6749 §3.1), beside that of the token endpoint.
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.authorization_endpoint = Some(url.into());
        self
    }

    /// Sets the URL at which a device asks for a code (RFC 8628 §3.1), beside that of the token endpoint.
    pub fn device_authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.device_authorization_endpoint = Some(url.into());
        self
    }

    dpop_setter!();

    /// Uses an HTTP client of your own making: proxies, certificates.
    ///
    /// It keeps no connection open and follows no redirect, whatever it was set to. Unless it is told `no_proxy`, it takes
    /// even plain http to this machine through the proxy that the environment names.
    pub fn http(mut self, client: reqwest::ClientBuilder) -> Self {
        self.http = Some(client);
        self
    }

    /// Sets how long one exchange with the server may take in all; [`Client::TIMEOUT`] unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells the time by another clock than the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if neither issuer nor token endpoint was given or one is not an absolute
    /// URL, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another host than this one.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint =
            |name, url: Option<String>| url.map(|url| Endpoint::parse(name, &url)).transpose();
        let server = match (self.token_endpoint, self.issuer, self.fhir_server) {
            (Some(token), issuer, _) => Server::Endpoints(Arc::new(Metadata {
                issuer,
                token: Endpoint::parse(metadata::TOKEN, &token)?,
                introspection: endpoint(metadata::INTROSPECTION, self.introspection_endpoint)?,
                revocation: endpoint(metadata::REVOCATION, self.revocation_endpoint)?,
                authorization: endpoint(metadata::AUTHORIZATION, self.authorization_endpoint)?,
                device_authorization: endpoint(
                    metadata::DEVICE_AUTHORIZATION,
                    self.device_authorization_endpoint,
                )?,
                names_itself: false,
                code_challenge_methods: None,
            })),
            (None, Some(issuer), _) => {
                Endpoint::parse("issuer", &issuer)?;
                Server::Issuer(issuer)
            }
            (None, None, Some(base)) => {
                Endpoint::parse("FHIR server", &base)?;
                Server::Fhir(base)
            }
            (None, None, None) => {
                return Err(Error::input(
                    "the client has no server; give its issuer, or the URL of its token endpoint",
                ));
            }
        };
        Ok(Client(Arc::new(Inner {
            id: self.id,
            method: self.authentication.to_method(),
            authentication: self.authentication,
            server,
            http: Http::new(self.http, self.timeout)?,
            prover: self.prover,
            clock: self.clock,
            said: Mutex::new(None),
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
