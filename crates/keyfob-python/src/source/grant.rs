//! The grants of OAuth that need no person, as Python sources.

use std::sync::Arc;
use std::time::Duration;

use keyfob::oauth::{
    Client, ClientAuthentication, ClientCredentials, JwtBearer, SigningKey, TokenExchange,
    TokenType,
};
use keyfob::{Error, TokenSource};
use pyo3::prelude::*;

use crate::source::remade::Recipe;
use crate::source::signed_jwt::PrivateKey;
use crate::source::source::Source;
use crate::source::transport::{Transport, reached_by};

/// Requests tokens of an authorization server.
#[pyfunction]
pub(crate) fn grant_source(
    py: Python<'_>,
    client: ClientSettings,
    grant: GrantSettings,
    transport: Transport,
) -> PyResult<Source> {
    let (kind, name) = kind(&grant)?;
    let default_lifetime = grant.default_lifetime;
    let key = client.private_key.as_ref().map(PrivateKey::signing_key);
    let assertion = client.client_assertion.as_ref();
    let assertion = assertion.map(|source| source.get().link("client_assertion"));
    let request = Request {
        kind,
        key: key.transpose()?,
        assertion: assertion.transpose()?,
        timeout: transport.timeout()?,
        client,
        grant,
        transport,
    };
    let recipe: Recipe = Arc::new(move || request.source());
    Source::remade(py, name, recipe, default_lifetime)
}

#[derive(FromPyObject)]
pub(crate) struct ClientSettings {
    issuer: Option<String>,
    token_endpoint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    /// Whether the secret goes into the form.
    secret_post: bool,
    private_key: Option<PrivateKey>,
    client_assertion: Option<Py<Source>>,
}

#[derive(FromPyObject)]
pub(crate) struct GrantSettings {
    assertion: Option<Py<Source>>,
    /// The subject token and its type.
    subject: Option<(Py<Source>, String)>,
    requested_type: Option<String>,
    scopes: Vec<String>,
    audience: Option<String>,
    resource: Option<String>,
    parameters: Vec<(String, String)>,
    use_id_token: bool,
    default_lifetime: Option<f64>,
}

enum Kind {
    ClientCredentials,
    JwtBearer(Recipe),
    TokenExchange(Recipe, TokenType),
}

struct Request {
    kind: Kind,
    key: Option<SigningKey>,
    assertion: Option<Recipe>,
    timeout: Option<Duration>,
    client: ClientSettings,
    grant: GrantSettings,
    transport: Transport,
}

/// A grant with the settings that all grants have.
macro_rules! with_options {
    ($grant:expr, $settings:expr) => {{
        let settings = $settings;
        let mut grant = $grant.scopes(&settings.scopes);
        if let Some(audience) = &settings.audience {
            grant = grant.audience(audience);
        }
        if let Some(resource) = &settings.resource {
            grant = grant.resource(resource);
        }
        for (name, value) in &settings.parameters {
            grant = grant.parameter(name, value);
        }
        if settings.use_id_token {
            grant = grant.use_id_token();
        }
        grant
    }};
}

impl Request {
    fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let (client, grant) = (self.client()?, &self.grant);
        Ok(match &self.kind {
            Kind::ClientCredentials => {
                Arc::new(with_options!(ClientCredentials::new(client), grant))
            }
            Kind::JwtBearer(assertion) => Arc::new(with_options!(
                JwtBearer::from_source(client, assertion()?),
                grant
            )),
            Kind::TokenExchange(subject, kind) => {
                let mut exchange = TokenExchange::new(client, subject()?, kind.clone());
                if let Some(wanted) = &grant.requested_type {
                    exchange = exchange.requested_token_type(token_type(wanted));
                }
                Arc::new(with_options!(exchange, grant))
            }
        })
    }

    fn client(&self) -> Result<Client, Error> {
        let settings = &self.client;
        let mut builder = match &settings.client_id {
            Some(id) => Client::builder(id),
            None => Client::builder_without_id(),
        };
        if let Some(issuer) = &settings.issuer {
            builder = builder.issuer(issuer);
        }
        if let Some(url) = &settings.token_endpoint {
            builder = builder.token_endpoint(url);
        }
        let builder = builder.authentication(self.authentication()?);
        reached_by!(builder, &self.transport, self.timeout).build()
    }

    fn authentication(&self) -> Result<ClientAuthentication, Error> {
        Ok(
            match (&self.client.client_secret, &self.key, &self.assertion) {
                (Some(secret), ..) if self.client.secret_post => {
                    ClientAuthentication::secret_post(secret)
                }
                (Some(secret), ..) => ClientAuthentication::secret_basic(secret),
                (None, Some(key), _) => ClientAuthentication::private_key_jwt(key.clone()),
                (None, None, Some(link)) => ClientAuthentication::assertion_from(link()?),
                (None, None, None) => ClientAuthentication::none(),
            },
        )
    }
}

fn kind(grant: &GrantSettings) -> PyResult<(Kind, &'static str)> {
    if let Some(assertion) = &grant.assertion {
        let link = assertion.get().link("assertion")?;
        return Ok((Kind::JwtBearer(link), "jwt_bearer"));
    }
    Ok(match &grant.subject {
        Some((subject, kind)) => {
            let link = subject.get().link("subject_token")?;
            let kind = Kind::TokenExchange(link, token_type(kind));
            (kind, "token_exchange")
        }
        None => (Kind::ClientCredentials, "client_credentials"),
    })
}

fn token_type(name: &str) -> TokenType {
    match name {
        "access_token" => TokenType::AccessToken,
        "jwt" => TokenType::Jwt,
        "id_token" => TokenType::IdToken,
        "saml2" => TokenType::Saml2,
        uri => TokenType::Other(uri.to_owned()),
    }
}
