//! JWT bearer: a token in return for a signed assertion (RFC 7523 §2.1).

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::oauth::grants::options::{GrantOptions, grant_setters};
use crate::oauth::inner_tokens::InnerSources;
use crate::oauth::metadata::Metadata;
use crate::oauth::signed_jwt::SignedJwt;
use crate::oauth::signing_key::SigningKey;
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
    SignedHere(Box<SignedJwt>),
    FromSource(InnerSources),
}

impl JwtBearer {
    /// The default for [`lifetime`](Self::lifetime).
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Signs a new assertion with this key for each token request.
    ///
    /// By default, the client is the issuer and the subject of the assertion.
    pub fn signed(client: Client, key: SigningKey) -> Self {
        Self {
            assertion: Assertion::SignedHere(Box::new(
                SignedJwt::new(key).lifetime(Self::LIFETIME).unique_id(),
            )),
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
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.with_signed(|assertion| assertion.lifetime(lifetime))
    }

    /// Sets any other claim of the assertion.
    ///
    /// `iat` and `exp` follow from the [`lifetime`](Self::lifetime), and `jti` is random; a token with such a claim is an error.
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with_signed(|assertion| assertion.claim(name, value))
    }

    fn with_signed(mut self, change: impl FnOnce(SignedJwt) -> SignedJwt) -> Self {
        if let Assertion::SignedHere(assertion) = &mut self.assertion {
            **assertion = change((**assertion).clone());
        }
        self
    }

    /// The subject of the assertion, if it is signed here.
    pub(super) fn signed_subject(&self) -> Option<&str> {
        let Assertion::SignedHere(assertion) = &self.assertion else {
            return None;
        };
        match assertion.claims().get("sub") {
            Some(subject) => subject.as_str(),
            None => self.options.client.id(),
        }
    }
}

/// A signed assertion, and who accepts it (`aud`).
struct Signed {
    jwt: Zeroizing<String>,
    audiences: Vec<String>,
}

/// Signs an assertion, with the client and the server in the claims that were not set.
async fn sign(assertion: &SignedJwt, client: &Client) -> Result<Signed, Error> {
    let mut assertion = assertion.clone();
    for name in ["iss", "sub"] {
        if let Some(id) = client.id()
            && !assertion.claims().contains_key(name)
        {
            assertion = assertion.claim(name, id);
        }
    }
    if !assertion.claims().contains_key("iss") {
        return Err(Error::input(
            "the assertion has no issuer; set it, or the identifier of the client",
        ));
    }
    let metadata = client.metadata().await?;
    if !assertion.claims().contains_key("aud") {
        assertion = assertion.audience(default_audience(&metadata));
    }
    Ok(Signed {
        jwt: assertion.sign(client.clock().coarse_time().wall_time())?,
        audiences: texts(&assertion.claims()["aud"]),
    })
}

/// RFC 7523 §3: "The token endpoint URL [...] MAY be used". Metadata can name the endpoint of another server.
fn default_audience(metadata: &Metadata) -> &str {
    match &metadata.issuer {
        Some(issuer) if metadata.is_discovered => issuer,
        _ => metadata.token.url.as_str(),
    }
}

/// The texts of a claim that is one text or a list (RFC 7519 §4.1.3).
fn texts(claim: &Value) -> Vec<String> {
    let list = claim
        .as_array()
        .map_or(std::slice::from_ref(claim), Vec::as_slice);
    let texts = list.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

impl TokenSource for JwtBearer {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let form = |jwt: &str| Form::token_request(GRANT_TYPE).with("assertion", jwt);
            let source = match &self.assertion {
                Assertion::SignedHere(assertion) => {
                    let signed = sign(assertion, &self.options.client).await?;
                    let form = form(&signed.jwt);
                    return self.options.request_for(&signed.audiences, form).await;
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
