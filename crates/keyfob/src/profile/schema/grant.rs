//! A grant of an OAuth 2.0 server, as a profile describes it.

use std::fmt;

use url::Url;

use crate::profile::schema::client::{Authentication, Client, Key, UnlessSaid};
use crate::profile::schema::sign_in::{SignIn, SigningIn};
use crate::profile::schema::{client, sign_in};
use crate::profile::secret_ref::Reference;
use crate::profile::table::{Table, Value};

/// A grant, the server that it is asked of, and what is asked for.
#[derive(Debug)]
pub(crate) struct Grant {
    /// As the file has it.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) resource: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    /// The key that tokens are bound to (RFC 9449).
    pub(crate) dpop_key: Option<Reference>,
}

/// Who is asked for tokens, as the file has it: an issuer is compared letter by letter.
#[derive(Debug)]
pub(crate) enum Server {
    /// As the metadata of this issuer say (RFC 8414).
    Issuer(String),
    /// As this FHIR server says.
    Fhir(String),
    TokenEndpoint(String),
}

/// What a grant needs besides the client.
#[derive(Debug)]
pub(crate) enum Kind {
    ClientCredentials,
    SmartBackendServices,
    /// The refresh token with which it begins; later ones are in the store.
    RefreshToken(Reference),
    JwtBearer(Assertion),
    TokenExchange(Box<Exchange>),
    /// PendingExchange by a person with `keyfob login`.
    SignIn(SigningIn),
}

/// The JWT that is given for a token (RFC 7523 §2.1).
#[derive(Debug)]
pub(crate) enum Assertion {
    Kept(Reference),
    Signed {
        key: Key,
        subject: Option<String>,
        audience: Option<String>,
    },
}

/// A token that is given for another one (RFC 8693 §2.1).
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) subject: Reference,
    pub(crate) subject_type: String,
    pub(crate) actor: Option<(Reference, String)>,
    pub(crate) requested_type: Option<String>,
}

impl Grant {
    /// All its secrets, with the keys that name them.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &Reference)> {
        let mut secrets = Vec::new();
        secrets.extend(self.client.secret().map(|secret| ("client_secret", secret)));
        secrets.extend(self.key().map(|key| ("private_key", &key.pem)));
        secrets.extend(self.dpop_key.iter().map(|key| ("dpop_key", key)));
        match &self.kind {
            Kind::RefreshToken(first) => secrets.push(("refresh_token", first)),
            Kind::JwtBearer(Assertion::Kept(assertion)) => secrets.push(("assertion", assertion)),
            Kind::TokenExchange(exchange) => {
                secrets.push(("subject_token", &exchange.subject));
                let actor = exchange.actor.iter();
                secrets.extend(actor.map(|(actor, _)| ("actor_token", actor)));
            }
            _ => {}
        }
        secrets
    }

    /// The private key that the client signs with, itself known by it or an assertion.
    pub(crate) fn key(&self) -> Option<&Key> {
        match (&self.client.authentication, &self.kind) {
            (Authentication::PrivateKey(key), _) => Some(key),
            (_, Kind::JwtBearer(Assertion::Signed { key, .. })) => Some(key),
            _ => None,
        }
    }
}

impl Server {
    pub(crate) fn url(&self) -> &str {
        let (Self::Issuer(url) | Self::Fhir(url) | Self::TokenEndpoint(url)) = self;
        url
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.server.url())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    ClientCredentials,
    SmartBackendServices,
    RefreshToken,
    JwtBearer,
    TokenExchange,
    DeviceCode,
    AuthorizationCode,
}

/// Reads the grant of a table; a FHIR server is the profile's base URL unless it is named.
pub(super) fn read(table: &Table<'_>, named: Value<'_>, base_url: Option<&Url>) -> Option<Grant> {
    let grant = named.one_of("grant", &NAMES)?;
    let (name, _) = NAMES.iter().find(|(_, named)| *named == grant)?;
    let server = match grant {
        Name::SmartBackendServices => read_fhir_server(table, base_url),
        _ => read_server(table),
    };
    let client = match grant {
        Name::SmartBackendServices => client::read_with_key(table),
        Name::JwtBearer => client::read(table, UnlessSaid::BySecret),
        _ => client::read(table, UnlessSaid::BySecretOrKey),
    };
    let texts = |key| table.get(key).and_then(Value::texts).unwrap_or_default();
    let scopes = texts("scopes");
    let (audience, resource) = match grant {
        Name::SmartBackendServices => (Vec::new(), Vec::new()),
        _ => (texts("audience"), texts("resource")),
    };
    let parameters = table.get("parameters").and_then(read_parameters);
    let dpop_key = table.get("dpop_key").and_then(Value::secret);
    let kind = read_kind(table, grant);
    Some(Grant {
        name,
        kind: kind?,
        server: server?,
        client: client?,
        scopes: scopes.iter().flat_map(|scopes| words(scopes)).collect(),
        audience,
        resource,
        parameters: parameters.unwrap_or_default(),
        dpop_key,
    })
}

fn read_kind(table: &Table<'_>, grant: Name) -> Option<Kind> {
    Some(match grant {
        Name::ClientCredentials => Kind::ClientCredentials,
        Name::SmartBackendServices => Kind::SmartBackendServices,
        Name::RefreshToken => Kind::RefreshToken(
            table
                .need(
                    "refresh_token",
                    "the refresh token to begin with; later ones are kept in the store",
                )
                .and_then(Value::secret)?,
        ),
        Name::JwtBearer => Kind::JwtBearer(read_assertion(table)?),
        Name::TokenExchange => Kind::TokenExchange(Box::new(read_exchange(table)?)),
        Name::DeviceCode => Kind::SignIn(sign_in::read(table, SignIn::DeviceCode)?),
        Name::AuthorizationCode => Kind::SignIn(sign_in::read(table, SignIn::AuthorizationCode)?),
    })
}

fn read_assertion(table: &Table<'_>) -> Option<Assertion> {
    if let Some(kept) = table.get("assertion") {
        return kept.secret().map(Assertion::Kept);
    }
    if !table.has("private_key") {
        table.fault("the grant has no assertion; set `assertion` to where it is kept, or `private_key` to sign one");
        return None;
    }
    let text = |key| table.get(key).and_then(Value::text).map(str::to_owned);
    let (subject, audience) = (text("subject"), text("assertion_audience"));
    Some(Assertion::Signed {
        key: client::read_key(table)?,
        subject,
        audience,
    })
}

fn read_exchange(table: &Table<'_>) -> Option<Exchange> {
    let subject = table
        .need("subject_token", "the token that another one is given for")
        .and_then(Value::secret);
    let kind = |key| table.get(key).and_then(Value::text).map(token_type);
    let subject_type = kind("subject_token_type");
    let actor_type = kind("actor_token_type");
    let requested_type = kind("requested_token_type");
    let actor = table.get("actor_token").and_then(Value::secret);
    let usual = || token_type("access_token");
    Some(Exchange {
        subject: subject?,
        subject_type: subject_type.unwrap_or_else(usual),
        actor: actor.map(|actor| (actor, actor_type.unwrap_or_else(usual))),
        requested_type,
    })
}

/// The URI of a token type that is named by its last part (RFC 8693 §3).
fn token_type(name: &str) -> String {
    if name.contains(':') {
        return name.to_owned();
    }
    format!("urn:ietf:params:oauth:token-type:{name}")
}

fn read_server(table: &Table<'_>) -> Option<Server> {
    match (table.get("issuer"), table.get("token_endpoint")) {
        (Some(issuer), None) => issuer.url_as_written().map(Server::Issuer),
        (None, Some(endpoint)) => endpoint.url_as_written().map(Server::TokenEndpoint),
        (Some(_), Some(endpoint)) => {
            endpoint.fault_of_key(
                "`issuer` and `token_endpoint` exclude each other; leave one of them out",
            );
            None
        }
        (None, None) => {
            table.fault("the grant has no server; set `issuer`, whose metadata name the token endpoint, or `token_endpoint`");
            None
        }
    }
}

fn read_fhir_server(table: &Table<'_>, base_url: Option<&Url>) -> Option<Server> {
    if let Some(value) = table.get("fhir_server") {
        return value.url_as_written().map(Server::Fhir);
    }
    let Some(base) = base_url else {
        table.fault("the grant has no server; set `fhir_server`, or `base_url` of the profile");
        return None;
    };
    Some(Server::Fhir(base.as_str().trim_end_matches('/').to_owned()))
}

/// Further parameters of the token request. What has a key of its own, a secret above all, is not one.
fn read_parameters(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for parameter in value.table()?.each() {
        let name = parameter.key;
        if KEYS.contains(&name) || OWN_PARAMETERS.contains(&name) {
            parameter.fault_of_key(format!(
                "`{name}` does not belong among further parameters; it has a key of its own, or is set by the grant"
            ));
        } else if let Some(text) = parameter.text() {
            parameters.push((name.to_owned(), text.to_owned()));
        }
    }
    Some(parameters)
}

/// One text may hold several scopes, as the parameter itself does (RFC 6749 §3.3).
fn words(scopes: &str) -> impl Iterator<Item = String> {
    scopes.split_whitespace().map(str::to_owned)
}

const NAMES: [(&str, Name); 7] = [
    ("client_credentials", Name::ClientCredentials),
    ("smart_backend_services", Name::SmartBackendServices),
    ("refresh_token", Name::RefreshToken),
    ("jwt_bearer", Name::JwtBearer),
    ("token_exchange", Name::TokenExchange),
    ("device_code", Name::DeviceCode),
    ("authorization_code", Name::AuthorizationCode),
];

/// Every key of a grant, whichever it is.
pub(super) const KEYS: [&str; 27] = [
    "issuer",
    "token_endpoint",
    "fhir_server",
    "client_id",
    "client_authentication",
    "client_secret",
    "private_key",
    "key_id",
    "algorithm",
    "scopes",
    "audience",
    "resource",
    "parameters",
    "dpop_key",
    "refresh_token",
    "assertion",
    "assertion_audience",
    "subject",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "redirect_uri",
];

/// Parameters that a grant or a client authentication sets itself.
const OWN_PARAMETERS: [&str; 12] = [
    "grant_type",
    "scope",
    "client_assertion",
    "client_assertion_type",
    "code",
    "code_verifier",
    "device_code",
    "code_challenge",
    "code_challenge_method",
    "response_type",
    "state",
    "password",
];
