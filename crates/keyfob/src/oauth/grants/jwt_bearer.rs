//! JWT bearer: a token in return for a signed assertion (RFC 7523 §2.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use huskarl_core::jwt::Jwt;
use huskarl_core::secrets::SecretString;
use serde_json::{Map, Value};

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::oauth::signing_key::{Signer, SigningKey};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// Gets tokens in return for an assertion, a JWT that names a subject: the JWT bearer grant (RFC 7523 §2.1).
///
/// Either the client signs a new assertion for each request, or the assertion comes from another source, such as the file
/// into which Kubernetes projects a service account token.
///
/// ```
/// use keyfob::FileToken;
/// use keyfob::oauth::{Algorithm, Client, JwtBearer, SigningKey};
///
/// let client = Client::builder("robot").token_endpoint("https://login.example.com/token").build()?;
/// let key = SigningKey::generate(Algorithm::Rs256)?;
/// let signed = JwtBearer::signed(client.clone(), key).subject("anna@example.com").scopes(["calendar"]);
///
/// let projected = JwtBearer::from_source(client, FileToken::new("/var/run/secrets/tokens/login"));
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct JwtBearer {
    pub(super) client: Client,
    assertion: Assertion,
    pub(super) options: GrantOptions,
}

#[derive(Clone)]
enum Assertion {
    SignedHere(Box<AssertionClaims>),
    FromSource(Arc<dyn TokenSource>),
}

/// The claims of an assertion, and the key that signs them.
#[derive(Clone)]
struct AssertionClaims {
    key: SigningKey,
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    lifetime: Duration,
    /// Claims that have no setter of their own.
    others: Map<String, Value>,
}

impl JwtBearer {
    /// The default for [`lifetime`](Self::lifetime).
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Signs a new assertion with this key for each token request.
    ///
    /// By default, the client is the issuer and the subject of the assertion.
    pub fn signed(client: Client, key: SigningKey) -> Self {
        let claims = AssertionClaims {
            key,
            issuer: None,
            subject: None,
            audience: None,
            lifetime: Self::LIFETIME,
            others: Map::new(),
        };
        Self {
            client,
            assertion: Assertion::SignedHere(Box::new(claims)),
            options: GrantOptions::default(),
        }
    }

    /// Gets the assertion for each token request from another source.
    ///
    /// The setters for claims, [`issuer`](Self::issuer) and below, have no effect on such an assertion.
    pub fn from_source(client: Client, assertion: impl TokenSource) -> Self {
        Self {
            client,
            assertion: Assertion::FromSource(Arc::new(assertion)),
            options: GrantOptions::default(),
        }
    }

    grant_setters!(options);

    /// Sets who issues the assertion (`iss`). Default: the client.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with_claims(|claims| claims.issuer = Some(issuer.into()))
    }

    /// Sets in whose name the token acts (`sub`). Default: the client.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with_claims(|claims| claims.subject = Some(subject.into()))
    }

    /// Sets who accepts the assertion (`aud`). Default: the URL of the token endpoint.
    pub fn assertion_audience(self, audience: impl Into<String>) -> Self {
        self.with_claims(|claims| claims.audience = Some(audience.into()))
    }

    /// Sets how long an assertion is valid. Default: [`LIFETIME`](Self::LIFETIME).
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.with_claims(|claims| claims.lifetime = lifetime)
    }

    /// Adds another claim to the assertion.
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with_claims(|claims| {
            claims.others.insert(name.into(), value.into());
        })
    }

    /// The subject of the assertion, if it is signed here.
    pub(super) fn signed_subject(&self) -> Option<&str> {
        match &self.assertion {
            Assertion::SignedHere(claims) => Some(claims.subject(&self.client)),
            Assertion::FromSource(_) => None,
        }
    }

    fn with_claims(mut self, change: impl FnOnce(&mut AssertionClaims)) -> Self {
        if let Assertion::SignedHere(claims) = &mut self.assertion {
            change(claims);
        }
        self
    }
}

impl AssertionClaims {
    fn subject<'a>(&'a self, client: &'a Client) -> &'a str {
        self.subject.as_deref().unwrap_or(client.id())
    }

    async fn sign(&self, client: &Client) -> Result<SecretString, Error> {
        let audience = match &self.audience {
            Some(audience) => audience.clone(),
            None => client.metadata().await?.token.url().to_string(),
        };
        Jwt::builder()
            .iss(self.issuer.as_deref().unwrap_or(client.id()))
            .sub(self.subject(client))
            .audience(audience)
            .issued_now_expires_after(self.lifetime)
            .claims(&self.others)
            .build()
            .to_jws_compact(&Signer(self.key.clone()))
            .await
            .map_err(|_| Error::input("the assertion cannot be signed with these claims"))
    }
}

impl TokenSource for JwtBearer {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let form = Form::token_request(GRANT_TYPE);
            let form = match &self.assertion {
                Assertion::SignedHere(claims) => form.with(
                    "assertion",
                    claims.sign(&self.client).await?.expose_secret(),
                ),
                Assertion::FromSource(source) => form.with(
                    "assertion",
                    source.fetch(&request.on_behalf()).await?.expose(),
                ),
            };
            self.client.request_token(self.options.add_to(form)?).await
        })
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("client", &self.client)
            .field("subject", &self.signed_subject())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
