//! A token for whom a signed assertion is about (RFC 7523 §2.1).

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

/// A token that is given for a signed assertion (`urn:ietf:params:oauth:grant-type:jwt-bearer`, RFC 7523 §2.1).
///
/// The assertion is signed here, anew for every request, or comes from another source, such as the file in which Kubernetes
/// projects one.
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
    Signed(Box<Statement>),
    Given(Arc<dyn TokenSource>),
}

/// What is signed here.
#[derive(Clone)]
struct Statement {
    key: SigningKey,
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl JwtBearer {
    /// How long a signed assertion is good for, unless set.
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Signs the assertion with this key. Issuer and subject are the client, unless set.
    pub fn signed(client: Client, key: SigningKey) -> Self {
        let statement = Statement {
            key,
            issuer: None,
            subject: None,
            audience: None,
            lifetime: Self::LIFETIME,
            claims: Map::new(),
        };
        Self {
            client,
            assertion: Assertion::Signed(Box::new(statement)),
            options: GrantOptions::default(),
        }
    }

    /// Asks another source for the assertion each time.
    pub fn from_source(client: Client, assertion: impl TokenSource) -> Self {
        Self {
            client,
            assertion: Assertion::Given(Arc::new(assertion)),
            options: GrantOptions::default(),
        }
    }

    grant_setters!(options);

    /// Says who makes the assertion (`iss`); the client unless set. Without effect on one from another source, as all below.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.stating(|statement| statement.issuer = Some(issuer.into()))
    }

    /// Says whom it is about (`sub`); the client unless set.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.stating(|statement| statement.subject = Some(subject.into()))
    }

    /// Says whom it is for (`aud`); the URL of the token endpoint unless set.
    pub fn assertion_audience(self, audience: impl Into<String>) -> Self {
        self.stating(|statement| statement.audience = Some(audience.into()))
    }

    /// Says how long it is good for; [`LIFETIME`](Self::LIFETIME) unless set.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.stating(|statement| statement.lifetime = lifetime)
    }

    /// Adds a claim.
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.stating(|statement| {
            statement.claims.insert(name.into(), value.into());
        })
    }

    /// Whom the assertion is about, if it is signed here.
    pub(super) fn stated_subject(&self) -> Option<&str> {
        match &self.assertion {
            Assertion::Signed(statement) => Some(statement.subject(&self.client)),
            Assertion::Given(_) => None,
        }
    }

    fn stating(mut self, change: impl FnOnce(&mut Statement)) -> Self {
        if let Assertion::Signed(statement) = &mut self.assertion {
            change(statement);
        }
        self
    }
}

impl Statement {
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
            .claims(&self.claims)
            .build()
            .to_jws_compact(&Signer(self.key.clone()))
            .await
            .map_err(|_| Error::input("the assertion could not be signed as it was set"))
    }
}

impl TokenSource for JwtBearer {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let form = Form::token_request(GRANT_TYPE);
            let form = match &self.assertion {
                Assertion::Signed(statement) => form.with(
                    "assertion",
                    statement.sign(&self.client).await?.expose_secret(),
                ),
                Assertion::Given(source) => form.with(
                    "assertion",
                    source.fetch(&request.on_behalf()).await?.expose(),
                ),
            };
            self.client.request_token(self.options.fill(form)?).await
        })
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("client", &self.client)
            .field("subject", &self.stated_subject())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
