//! Client authentication: how a client proves its identity to the server (RFC 6749 §2.3).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::ready;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use huskarl_core::client_auth;
use huskarl_core::client_auth::{
    AuthenticationContext, AuthenticationParams, ClientSecret, NoAuth,
};
use huskarl_core::platform::MaybeSendBoxFuture;
use huskarl_core::secrets::{ProvidedSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::discovery::ServerLocation;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::inner_tokens::InnerSources;
use crate::oauth::metadata::Metadata;
use crate::oauth::signed_jwt::SignedJwt;
use crate::oauth::signing_key::SigningKey;
use crate::origin::origin::{Origin, parse_url};
use crate::source::source::TokenSource;
use crate::token::secret::Secret;

/// How a client authenticates to its authorization server (RFC 6749 §2.3).
///
/// ```
/// use keyfob::oauth::{Algorithm, ClientAuthentication, SigningKey};
///
/// let by_secret = ClientAuthentication::secret_basic("s3cr3t");
/// let by_key = ClientAuthentication::private_key_jwt(SigningKey::generate(Algorithm::Es256)?);
/// assert!(!format!("{by_secret:?}").contains("s3cr3t"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientAuthentication(Method);

#[derive(Clone)]
enum Method {
    /// A method without settings, by its registered name.
    Fixed(&'static str, Arc<dyn client_auth::ClientAuthentication>),
    PrivateKeyJwt(ClientAssertion),
    Assertion(InnerSources),
}

/// The settings of a client assertion, a signed JWT (RFC 7523 §2.2).
#[derive(Clone)]
struct ClientAssertion {
    key: SigningKey,
    /// `None` until the server is known.
    audience: Option<Audience>,
    lifetime: Duration,
}

/// The audience of a client assertion (`aud`, RFC 7523 §3).
///
/// ```
/// use keyfob::oauth::{Algorithm, Audience, ClientAuthentication, SigningKey};
///
/// let key = SigningKey::generate(Algorithm::Es256)?;
/// let authentication = ClientAuthentication::private_key_jwt(key).audience(Audience::Issuer);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// The server's issuer identifier, as newer drafts require. No other server accepts such an assertion.
    Issuer,
    /// The URL of the token endpoint, as older servers expect.
    TokenEndpoint,
    /// Another value that the server documents.
    Other(String),
}

impl ClientAuthentication {
    /// The default for [`assertion_lifetime`](Self::assertion_lifetime).
    pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

    /// No authentication: a public client, which only sends its `client_id`.
    #[must_use]
    pub fn none() -> Self {
        Self::fixed(NONE, NoAuth)
    }

    /// A secret in `Authorization: Basic`, form-encoded first (RFC 6749 §2.3.1).
    #[must_use]
    pub fn secret_basic(secret: impl Into<String>) -> Self {
        let method = ClientSecret::builder()
            .client_secret(ProvidedSecret::new(secret_string(secret)))
            .prefer_basic_auth(true)
            .build();
        Self::fixed("client_secret_basic", method)
    }

    /// A secret in `Authorization: Basic` without form encoding.
    ///
    /// Use it for servers that do not decode the secret. It differs from [`secret_basic`](Self::secret_basic) only if the
    /// client identifier or the secret contains characters that form encoding changes.
    #[must_use]
    pub fn secret_basic_unencoded(secret: impl Into<String>) -> Self {
        Self::fixed("client_secret_basic", UnencodedBasic(secret_string(secret)))
    }

    /// A secret in the form, for servers that support nothing else.
    #[must_use]
    pub fn secret_post(secret: impl Into<String>) -> Self {
        let secret = ProvidedSecret::new(secret_string(secret));
        Self::fixed("client_secret_post", ClientSecret::new(secret))
    }

    /// A client assertion, which the client's private key signs (RFC 7523 §2.2).
    ///
    /// The assertion is a JWT. Each request contains a new one.
    #[must_use]
    pub fn private_key_jwt(key: SigningKey) -> Self {
        Self(Method::PrivateKeyJwt(ClientAssertion {
            key,
            audience: None,
            lifetime: Self::ASSERTION_LIFETIME,
        }))
    }

    /// The client certificate of the TLS connection, which an authority has issued (RFC 8705 §2.1).
    ///
    /// The request contains only the `client_id`. Give the certificate to
    /// [`ClientBuilder::client_certificate`](crate::oauth::ClientBuilder::client_certificate).
    #[must_use]
    pub fn tls_client_auth() -> Self {
        Self::fixed(TLS_CLIENT_AUTH, NoAuth)
    }

    /// As [`tls_client_auth`](Self::tls_client_auth), with a certificate that the client signed itself (RFC 8705 §2.2).
    ///
    /// The server knows it from the client's registration, so a new certificate has to be registered before its files change.
    #[must_use]
    pub fn self_signed_tls_client_auth() -> Self {
        Self::fixed(SELF_SIGNED, NoAuth)
    }

    /// A client assertion of another source, such as a JWT that the platform issues for a workload (RFC 7523 §2.2).
    ///
    /// The source is asked for each request: a [`FileToken`](crate::FileToken) reads its file each time. Give a
    /// [`TokenCache::as_source`](crate::TokenCache::as_source) for an assertion that is expensive to get. If the server refuses
    /// the assertion, the source is asked for another one, and the request is sent once more. A client without an
    /// [identifier](crate::oauth::Client::builder_without_id) sends the assertion alone.
    ///
    /// ```
    /// use keyfob::FileToken;
    /// use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials};
    ///
    /// let projected = FileToken::new("/var/run/secrets/tokens/login");
    /// let client = Client::builder("reports")
    ///     .issuer("https://login.example.com")
    ///     .authentication(ClientAuthentication::assertion_from(projected))
    ///     .build()?;
    /// let source = ClientCredentials::new(client);
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn assertion_from(source: impl TokenSource) -> Self {
        Self(Method::Assertion(InnerSources::one(
            "the client assertion",
            source,
        )))
    }

    /// A new client assertion, if the client signs it itself.
    pub(crate) fn sign_assertion(
        &self,
        client_id: &str,
        metadata: &Metadata,
        now: SystemTime,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        match &self.0 {
            Method::PrivateKeyJwt(assertion) => assertion.sign(client_id, metadata, now).map(Some),
            Method::Fixed(..) | Method::Assertion(_) => Ok(None),
        }
    }

    /// The source of the client assertion, if it is not signed here.
    pub(crate) fn assertion_source(&self) -> Option<&InnerSources> {
        match &self.0 {
            Method::Assertion(source) => Some(source),
            Method::Fixed(..) | Method::PrivateKeyJwt(_) => None,
        }
    }

    /// Whether it cannot do without a client identifier.
    pub(crate) fn needs_id(&self) -> bool {
        match &self.0 {
            Method::Fixed(name, _) => *name != NONE,
            Method::PrivateKeyJwt(_) => true,
            Method::Assertion(_) => false,
        }
    }

    /// Sets the audience of a client assertion that is signed here.
    ///
    /// Default: [`Audience::Issuer`] if the endpoints are discovered, and [`Audience::TokenEndpoint`] if they are given. An
    /// assertion is sent only to endpoints that belong to its audience: with the issuer, all that its metadata name; with a
    /// URL, those of the same origin.
    #[must_use]
    pub fn audience(mut self, audience: Audience) -> Self {
        if let Method::PrivateKeyJwt(assertion) = &mut self.0 {
            assertion.audience = Some(audience);
        }
        self
    }

    /// Sets how long a client assertion is valid.
    ///
    /// Default: [`ASSERTION_LIFETIME`](Self::ASSERTION_LIFETIME).
    #[must_use]
    pub fn assertion_lifetime(mut self, lifetime: Duration) -> Self {
        if let Method::PrivateKeyJwt(assertion) = &mut self.0 {
            assertion.lifetime = lifetime;
        }
        self
    }

    /// Sets the default audience for a server.
    pub(crate) fn for_server(mut self, server: &ServerLocation) -> Self {
        if let Method::PrivateKeyJwt(assertion) = &mut self.0 {
            assertion.audience.get_or_insert(match server {
                // Metadata can name an endpoint of another server. That one rejects an assertion for this issuer.
                ServerLocation::Issuer(_) => Audience::Issuer,
                // SMART App Launch requires the token endpoint.
                ServerLocation::Endpoints(_) | ServerLocation::FhirServer(_) => {
                    Audience::TokenEndpoint
                }
            });
        }
        self
    }

    /// Refuses to send an assertion to an endpoint that could use it at another server, which is the audience.
    pub(crate) fn check_target(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
    ) -> Result<(), Error> {
        let assertion = match &self.0 {
            Method::Fixed(..) => return Ok(()),
            Method::Assertion(_) => return check_server(endpoint, metadata),
            Method::PrivateKeyJwt(assertion) => assertion,
        };
        match &assertion.audience {
            None | Some(Audience::Issuer) => Ok(()),
            Some(Audience::TokenEndpoint) => {
                check_audience(metadata.token.url.as_str(), endpoint, metadata)
            }
            // The application gave both, so they belong together.
            Some(Audience::Other(_)) if !metadata.is_discovered => Ok(()),
            Some(Audience::Other(audience)) => check_audience(audience, endpoint, metadata),
        }
    }

    fn fixed(name: &'static str, method: impl client_auth::ClientAuthentication + 'static) -> Self {
        Self(Method::Fixed(name, Arc::new(method)))
    }

    pub(crate) fn to_method(&self) -> Arc<dyn client_auth::ClientAuthentication> {
        match &self.0 {
            Method::Fixed(_, method) => Arc::clone(method),
            // The assertion is in the form already.
            Method::PrivateKeyJwt(_) | Method::Assertion(_) => Arc::new(NoAuth),
        }
    }

    /// Whether the certificate of the TLS connection authenticates the client.
    pub(crate) fn is_by_certificate(&self) -> bool {
        matches!(self.name(), TLS_CLIENT_AUTH | SELF_SIGNED)
    }

    /// The registered name of the method (`token_endpoint_auth_method`, RFC 7591 §2).
    pub(crate) fn name(&self) -> &'static str {
        match &self.0 {
            Method::Fixed(name, _) => name,
            Method::PrivateKeyJwt(_) | Method::Assertion(_) => "private_key_jwt",
        }
    }
}

impl ClientAssertion {
    fn sign(
        &self,
        client_id: &str,
        metadata: &Metadata,
        now: SystemTime,
    ) -> Result<Zeroizing<String>, Error> {
        let audience = match &self.audience {
            Some(Audience::Issuer) => metadata.issuer.as_deref().ok_or_else(|| {
                Error::input(
                    "the audience of the client assertion is the issuer, which is not known; give the issuer to the client",
                )
            })?,
            None | Some(Audience::TokenEndpoint) => metadata.token.url.as_str(),
            Some(Audience::Other(other)) => other,
        };
        SignedJwt::new(self.key.clone())
            .issuer(client_id)
            .subject(client_id)
            .audience(audience)
            .lifetime(self.lifetime)
            // A server may accept each assertion only once (RFC 7523 §3).
            .unique_id()
            .sign(now)
    }
}

/// `Authorization: Basic` with the plain client identifier and secret (RFC 7617).
struct UnencodedBasic(SecretString);

impl client_auth::ClientAuthentication for UnencodedBasic {
    fn authentication_context<'a>(
        &'a self,
        context: AuthenticationContext<'a>,
    ) -> MaybeSendBoxFuture<'a, Result<AuthenticationParams<'a>, huskarl_core::Error>> {
        // `concat` allocates once: a text that grows would leave a copy of the secret behind.
        let credentials = Zeroizing::new([context.client_id, ":", self.0.expose_secret()].concat());
        let encoded = Secret::new(STANDARD.encode(&*credentials)).expect("base64 is visible ASCII");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, encoded.header_value(Some("Basic")))]);
        let parameters = AuthenticationParams::builder().headers(headers).build();
        Box::pin(ready(Ok(parameters)))
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientAuthentication")
            .field(&self.name())
            .finish()
    }
}

/// Refuses to send an assertion for this audience to an endpoint of another server.
///
/// Otherwise, metadata that name the endpoints of two servers would hand an assertion for the one to the other.
pub(crate) fn check_audience(
    audience: &str,
    endpoint: &Endpoint,
    metadata: &Metadata,
) -> Result<(), Error> {
    if metadata.issuer.as_deref() == Some(audience) {
        return Ok(());
    }
    // A name that is no URL says nothing about where it belongs.
    let Ok(origin) = parse_url(audience).and_then(|url| Origin::from_url(&url)) else {
        return Ok(());
    };
    match origin == endpoint.origin {
        true => Ok(()),
        false => Err(Error::origin(format!(
            "{endpoint} is not at {origin}, which is the audience of the assertion; set the audience to the issuer, or give \
             the endpoints of one server to the client"
        ))),
    }
}

/// Refuses to send an assertion of another source to an endpoint that metadata name at a third server.
///
/// Its audience is not known for certain, and a server that gets it could use it at the server that it is for.
fn check_server(endpoint: &Endpoint, metadata: &Metadata) -> Result<(), Error> {
    let is_of_issuer = || {
        let issuer = metadata.issuer.as_deref()?;
        let origin = parse_url(issuer).and_then(|url| Origin::from_url(&url));
        Some(origin.is_ok_and(|origin| origin == endpoint.origin))
    };
    if !metadata.is_discovered
        || endpoint.origin == metadata.token.origin
        || is_of_issuer() == Some(true)
    {
        return Ok(());
    }
    Err(Error::origin(format!(
        "{endpoint} is neither at the issuer nor at {}, so the client assertion is not sent there; give the endpoints to \
         the client if they belong to one server",
        metadata.token.origin
    )))
}

/// The given text is zeroed, because `SecretString` makes a copy.
pub(crate) fn secret_string(secret: impl Into<String>) -> SecretString {
    SecretString::new(&*Zeroizing::new(secret.into()))
}

/// A permanent error without its cause, which may quote secrets.
pub(crate) fn authentication_failed(_: huskarl_core::Error) -> Error {
    Error::input(
        "the client cannot authenticate with these settings; if the audience is the issuer, give the issuer to the client",
    )
}

const TLS_CLIENT_AUTH: &str = "tls_client_auth";
const SELF_SIGNED: &str = "self_signed_tls_client_auth";
/// The registered name of no authentication.
const NONE: &str = "none";
