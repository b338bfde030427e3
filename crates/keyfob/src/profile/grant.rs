//! The token source of a profile with an OAuth 2.0 grant.

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
use crate::profile::client::{LazyProver, Secrets, client};
use crate::profile::schema::Definition;
use crate::profile::schema::grant::{Assertion, ExchangeSettings, Grant, GrantKind, Server};
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// Adds the grant's parameters to a source or a sign-in.
///
/// A macro, because the types have the same setters but no common trait.
macro_rules! with_parameters {
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

pub(super) use with_parameters;

/// Requests tokens from the server of a profile.
///
/// It reads the secrets at each renewal, and makes a new inner source when one of them has changed.
pub(super) struct GrantSource {
    profile: String,
    definition: Arc<Definition>,
    prover: Arc<LazyProver>,
    current: Mutex<Option<CurrentSource>>,
}

/// The inner source, and the secrets that it was made from.
struct CurrentSource {
    secrets: Secrets,
    source: Arc<dyn TokenSource>,
}

impl GrantSource {
    pub(super) fn new(
        profile: &str,
        definition: &Arc<Definition>,
        prover: &Arc<LazyProver>,
    ) -> Self {
        Self {
            profile: profile.to_owned(),
            definition: Arc::clone(definition),
            prover: Arc::clone(prover),
            current: Mutex::new(None),
        }
    }

    fn grant(&self) -> &Grant {
        let grant = self.definition.token.grant();
        grant.expect("only profiles with a grant have this source")
    }

    async fn source(&self, request: &TokenRequest) -> Result<Arc<dyn TokenSource>, Error> {
        let mut current = self.current.lock().await;
        let secrets = Secrets::read(self.grant(), request).await?;
        if let Some(current) = &*current
            && current.secrets == secrets
        {
            return Ok(Arc::clone(&current.source));
        }
        let source = self.new_source(&secrets, request).await?;
        *current = Some(CurrentSource {
            secrets,
            source: Arc::clone(&source),
        });
        Ok(source)
    }

    async fn new_source(
        &self,
        secrets: &Secrets,
        request: &TokenRequest,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let grant = self.grant();
        let prover = self.prover.get(grant).await?;
        let client = || client(grant, secrets, prover.clone());
        Ok(match &grant.kind {
            GrantKind::ClientCredentials => {
                Arc::new(with_parameters!(ClientCredentials::new(client()?), grant))
            }
            GrantKind::SmartBackendServices => Arc::new(smart_backend_services(grant, secrets)?),
            GrantKind::RefreshToken(_) | GrantKind::SignIn(_) => {
                let refresh_token = self.refresh_token(request).await?;
                let source = RefreshToken::new(client()?, refresh_token.as_str())?;
                Arc::new(with_parameters!(source, grant))
            }
            GrantKind::JwtBearer(assertion) => Arc::new(with_parameters!(
                jwt_bearer(client()?, assertion, || secrets.signing_key(grant))?,
                grant
            )),
            GrantKind::TokenExchange(settings) => {
                Arc::new(with_parameters!(exchange(client()?, settings), grant))
            }
        })
    }

    /// The refresh token of the previous token, or else the first one, which the file refers to.
    async fn refresh_token(&self, request: &TokenRequest) -> Result<Zeroizing<String>, Error> {
        if let Some(text) = request.previous().and_then(Token::refresh_token) {
            return Ok(Zeroizing::new(text.to_owned()));
        }
        match &self.grant().kind {
            GrantKind::RefreshToken(first) => first.read(request).await,
            _ => Err(Error::refused(format!(
                "there is no sign-in for this profile; run `keyfob login {}`",
                self.profile
            ))),
        }
    }

    /// Adds what a person has to do, if the sign-in has ended.
    fn explain(&self, error: Error) -> Error {
        match self.grant().kind {
            GrantKind::SignIn(_) if error.kind() == ErrorKind::Refused => Error::refused(format!(
                "the server no longer accepts the sign-in; run `keyfob login {}`",
                self.profile
            ))
            .caused_by(error),
            _ => error,
        }
    }
}

impl TokenSource for GrantSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let outcome = self.source(request).await?.fetch(request).await;
            outcome.map_err(|error| self.explain(error))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        matches!(
            self.grant().kind,
            GrantKind::RefreshToken(_) | GrantKind::SignIn(_)
        )
    }
}

fn smart_backend_services(grant: &Grant, secrets: &Secrets) -> Result<SmartBackendServices, Error> {
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
        Assertion::Stored(secret) => Ok(JwtBearer::from_source(client, secret.token_source())),
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

fn exchange(client: Client, settings: &ExchangeSettings) -> TokenExchange {
    let kind = |uri: &String| TokenType::Other(uri.clone());
    let subject = settings.subject.token_source();
    let mut source = TokenExchange::new(client, subject, kind(&settings.subject_type));
    if let Some((actor, uri)) = &settings.actor {
        source = source.actor(actor.token_source(), kind(uri));
    }
    if let Some(uri) = &settings.requested_type {
        source = source.requested_token_type(kind(uri));
    }
    source
}
