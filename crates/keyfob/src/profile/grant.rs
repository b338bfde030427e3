//! The sources of profiles whose token comes from an OAuth 2.0 server.
//!
//! A source is made when it is first asked, of secrets that are read then. It is made anew when one of them has changed.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::lock::Mutex;
use zeroize::Zeroizing;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::client::Client;
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::jwt_bearer::JwtBearer;
use crate::oauth::grants::refresh_token::RefreshToken;
use crate::oauth::grants::smart_backend_services::SmartBackendServices;
use crate::oauth::grants::token_exchange::{TokenExchange, TokenType};
use crate::oauth::signing_key::SigningKey;
use crate::profile::client::{Secrets, client};
use crate::profile::dpop::Proof;
use crate::profile::schema::{Assertion, Definition, Exchange, Grant, Kind, Server};
use crate::profile::secret_ref::Reference;
use crate::profile::secret_source;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// A grant's source with what the profile asks for. The setters are the same, but no trait has them.
macro_rules! asking {
    ($source:expr, $grant:expr) => {{
        let grant: &Grant = $grant;
        let mut source = $source.scopes(&grant.scopes);
        for audience in &grant.audience {
            source = source.audience(audience);
        }
        for resource in &grant.resource {
            source = source.resource(resource);
        }
        for (name, value) in &grant.parameters {
            source = source.parameter(name, value);
        }
        source
    }};
}

pub(super) use asking;

/// Asks the server of a profile.
pub(super) struct Granted {
    profile: String,
    definition: Arc<Definition>,
    proof: Arc<Proof>,
    made: Mutex<Option<Made>>,
}

/// A source, and the secrets that it was made of.
struct Made {
    secrets: Secrets,
    source: Arc<dyn TokenSource>,
}

impl Granted {
    pub(super) fn new(profile: &str, definition: &Arc<Definition>, proof: &Arc<Proof>) -> Self {
        Self {
            profile: profile.to_owned(),
            definition: Arc::clone(definition),
            proof: Arc::clone(proof),
            made: Mutex::new(None),
        }
    }

    fn grant(&self) -> &Grant {
        let grant = self.definition.token.grant();
        grant.expect("it is made for profiles with a grant")
    }

    async fn source(&self, request: &TokenRequest) -> Result<Arc<dyn TokenSource>, Error> {
        let mut made = self.made.lock().await;
        let secrets = Secrets::read(self.grant(), request).await?;
        if let Some(made) = &*made
            && made.secrets == secrets
        {
            return Ok(Arc::clone(&made.source));
        }
        let source = self.make(&secrets, request).await?;
        *made = Some(Made {
            secrets,
            source: Arc::clone(&source),
        });
        Ok(source)
    }

    async fn make(
        &self,
        secrets: &Secrets,
        request: &TokenRequest,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let grant = self.grant();
        let prover = self.proof.prover(grant).await?;
        let client = || client(grant, secrets, prover.clone());
        Ok(match &grant.kind {
            Kind::ClientCredentials => Arc::new(asking!(ClientCredentials::new(client()?), grant)),
            Kind::SmartBackendServices => Arc::new(smart(grant, secrets)?),
            Kind::RefreshToken(first) => {
                let first = self.refresh_token(Some(first), request).await?;
                Arc::new(asking!(
                    RefreshToken::new(client()?, first.as_str())?,
                    grant
                ))
            }
            Kind::SignIn(_) => {
                let first = self.refresh_token(None, request).await?;
                Arc::new(asking!(
                    RefreshToken::new(client()?, first.as_str())?,
                    grant
                ))
            }
            Kind::JwtBearer(assertion) => Arc::new(asking!(
                jwt_bearer(client()?, assertion, || secrets.signing_key(grant))?,
                grant
            )),
            Kind::TokenExchange(wanted) => Arc::new(asking!(exchange(client()?, wanted), grant)),
        })
    }

    /// The refresh token to begin with: that of the last token, or else the one that is kept for a beginning.
    async fn refresh_token(
        &self,
        first: Option<&Reference>,
        request: &TokenRequest,
    ) -> Result<Zeroizing<String>, Error> {
        if let Some(text) = request.previous().and_then(Token::refresh_token) {
            return Ok(Zeroizing::new(text.to_owned()));
        }
        match first {
            Some(first) => first.read(request).await,
            None => Err(Error::refused(format!(
                "nobody is signed in; run `keyfob login {}`",
                self.profile
            ))),
        }
    }
}

impl Granted {
    /// Of a refusal a person is told what to do, where it is for a person to do it.
    fn explain(&self, error: Error) -> Error {
        match self.grant().kind {
            Kind::SignIn(_) if error.kind() == ErrorKind::Refused => Error::refused(format!(
                "the server takes the sign-in no longer; run `keyfob login {}`",
                self.profile
            ))
            .caused_by(error),
            _ => error,
        }
    }
}

impl TokenSource for Granted {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let outcome = self.source(request).await?.fetch(request).await;
            outcome.map_err(|error| self.explain(error))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        matches!(self.grant().kind, Kind::RefreshToken(_) | Kind::SignIn(_))
    }
}

fn smart(grant: &Grant, secrets: &Secrets) -> Result<SmartBackendServices, Error> {
    let (Server::Fhir(base) | Server::Issuer(base) | Server::TokenEndpoint(base)) = &grant.server;
    let key = secrets.signing_key(grant)?;
    let source = SmartBackendServices::discover(base, &grant.client.id, key)?;
    let parameters = grant.parameters.iter();
    Ok(
        parameters.fold(source.scopes(&grant.scopes), |source, (name, value)| {
            source.parameter(name, value)
        }),
    )
}

fn jwt_bearer(
    client: Client,
    assertion: &Assertion,
    key: impl FnOnce() -> Result<SigningKey, Error>,
) -> Result<JwtBearer, Error> {
    match assertion {
        Assertion::Kept(reference) => Ok(JwtBearer::from_source(
            client,
            secret_source::source(reference),
        )),
        Assertion::Signed {
            subject, audience, ..
        } => {
            let mut source = JwtBearer::signed(client, key()?);
            if let Some(subject) = subject {
                source = source.subject(subject);
            }
            if let Some(audience) = audience {
                source = source.assertion_audience(audience);
            }
            Ok(source)
        }
    }
}

fn exchange(client: Client, wanted: &Exchange) -> TokenExchange {
    let kind = |uri: &String| TokenType::Other(uri.clone());
    let subject = secret_source::source(&wanted.subject);
    let mut source = TokenExchange::new(client, subject, kind(&wanted.subject_type));
    if let Some((actor, uri)) = &wanted.actor {
        source = source.actor(secret_source::source(actor), kind(uri));
    }
    if let Some(uri) = &wanted.requested_type {
        source = source.requested_token_type(kind(uri));
    }
    source
}
