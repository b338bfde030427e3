//! JWT bearer: a token in return for a signed assertion (RFC 7523 §2.1).

use std::fmt;
use std::time::Duration;

use huskarl_core::jwt::Jwt;
use huskarl_core::secrets::SecretString;
use serde_json::{Map, Value};

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::client_authentication::check_audience;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::oauth::inner_tokens::InnerSources;
use crate::oauth::metadata::Metadata;
use crate::oauth::signing_key::{Signer, SigningKey};
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

/// Gets tokens in return for a signed assertion (RFC 7523 §2.1).
///
/// An assertion is a JWT that names a subject. Either the client signs a new assertion for each request, or the assertion
/// comes from another source, such as the file into which Kubernetes projects a service account token.
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
    assertion: Assertion,
    pub(super) options: GrantOptions,
}

#[derive(Clone)]
enum Assertion {
    SignedHere(AssertionToSign),
    FromSource(InnerSources),
}

#[derive(Clone)]
struct AssertionToSign {
    key: SigningKey,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl JwtBearer {
    /// The default for [`lifetime`](Self::lifetime).
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Signs a new assertion with this key for each token request.
    ///
    /// By default, the client is the issuer and the subject of the assertion.
    pub fn signed(client: Client, key: SigningKey) -> Self {
        Self {
            assertion: Assertion::SignedHere(AssertionToSign {
                key,
                lifetime: Self::LIFETIME,
                claims: Map::new(),
            }),
            options: GrantOptions::new(client),
        }
    }

    /// Gets the assertion for each token request from another source.
    ///
    /// If the server refuses it, the source is asked for another one, and the request is sent once more.
    ///
    /// The setters for claims, [`issuer`](Self::issuer) and below, have no effect on such an assertion.
    pub fn from_source(client: Client, assertion: impl TokenSource) -> Self {
        Self {
            assertion: Assertion::FromSource(InnerSources::one("the assertion", assertion)),
            options: GrantOptions::new(client),
        }
    }

    grant_setters!(options);

    /// Sets who issues the assertion (`iss`). Default: the client.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Sets in whose name the token acts (`sub`). Default: the client.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.claim("sub", subject.into())
    }

    /// Sets who accepts the assertion (`aud`).
    ///
    /// Default: the issuer if the endpoints are discovered, otherwise the URL of the token endpoint. With discovery, a URL must
    /// have the origin of the token endpoint.
    pub fn assertion_audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// Sets how long an assertion is valid. Default: [`LIFETIME`](Self::LIFETIME).
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        if let Assertion::SignedHere(assertion) = &mut self.assertion {
            assertion.lifetime = lifetime;
        }
        self
    }

    /// Sets any other claim of the assertion.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        if let Assertion::SignedHere(assertion) = &mut self.assertion {
            assertion.claims.insert(name.into(), value.into());
        }
        self
    }

    /// The subject of the assertion, if it is signed here.
    pub(super) fn signed_subject(&self) -> Option<&str> {
        let Assertion::SignedHere(assertion) = &self.assertion else {
            return None;
        };
        match assertion.claims.get("sub") {
            Some(subject) => subject.as_str(),
            None => self.options.client.id(),
        }
    }
}

impl AssertionToSign {
    async fn sign(&self, client: &Client) -> Result<SecretString, Error> {
        let mut claims = self.claims.clone();
        if let Some(id) = client.id() {
            for name in ["iss", "sub"] {
                claims.entry(name).or_insert_with(|| id.into());
            }
        }
        if !claims.contains_key("iss") {
            return Err(Error::input(
                "the assertion has no issuer; set it, or the identifier of the client",
            ));
        }
        let metadata = client.metadata().await?;
        let audience = claims
            .entry("aud")
            .or_insert_with(|| default_audience(&metadata).into());
        // An endpoint that the server named must not receive an assertion for another server.
        if metadata.is_discovered {
            for audience in texts(audience) {
                check_audience(audience, &metadata.token, &metadata)?;
            }
        }
        Jwt::builder()
            .issued_now_expires_after(self.lifetime)
            .claims(claims)
            .build()
            .to_jws_compact(&Signer(self.key.clone()))
            .await
            .map_err(|_| Error::input("the assertion cannot be signed with these claims"))
    }
}

/// RFC 7523 §3: "The token endpoint URL [...] MAY be used". Metadata can name the endpoint of another server.
fn default_audience(metadata: &Metadata) -> &str {
    match &metadata.issuer {
        Some(issuer) if metadata.is_discovered => issuer,
        _ => metadata.token.url.as_str(),
    }
}

/// The texts of a claim that is one text or a list (RFC 7519 §4.1.3).
fn texts(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim
        .as_array()
        .map_or(std::slice::from_ref(claim), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

impl TokenSource for JwtBearer {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let form = |jwt: &str| Form::token_request(GRANT_TYPE).with("assertion", jwt);
            let source = match &self.assertion {
                Assertion::SignedHere(assertion) => {
                    let jwt = assertion.sign(&self.options.client).await?;
                    let form = form(jwt.expose_secret());
                    return self.options.request_any_token(form).await;
                }
                Assertion::FromSource(source) => source,
            };
            let mut tokens = source.tokens(request).await?;
            loop {
                let form = form(tokens.text(0));
                match self.options.request_any_token(form).await {
                    Err(error) if tokens.replaced_after(&error).await => {}
                    outcome => return tokens.end(outcome),
                }
            }
        })
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("subject", &self.signed_subject())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
