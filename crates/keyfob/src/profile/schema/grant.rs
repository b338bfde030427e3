//! An OAuth 2.0 grant, as a profile describes it.

use std::fmt;

use url::Url;

use crate::profile::schema::client::{
    Authentication, ClientSettings, DefaultAuthentication, KeySettings,
};
use crate::profile::schema::sign_in::{SignIn, SignInSettings};
use crate::profile::schema::{client, sign_in};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Table, Value};

/// A grant: the authorization server, the client, and the parameters of the token request.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The name in the file.
    pub(crate) name: &'static str,
    pub(crate) kind: GrantKind,
    pub(crate) server: Server,
    pub(crate) client: ClientSettings,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) resource: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    /// The key that tokens are bound to (DPoP, RFC 9449).
    pub(crate) dpop_key: Option<SecretRef>,
}

/// The server that issues the tokens.
///
/// An issuer is kept as the file spells it, because it is compared with the metadata character by character (RFC 8414 §3.3).
#[derive(Debug)]
pub(crate) enum Server {
    /// The endpoints are in the metadata of this issuer (RFC 8414).
    Issuer(String),
    /// The endpoints are in the SMART configuration of this FHIR server.
    Fhir(String),
    TokenEndpoint(String),
}

/// The kind of a grant, with the settings that only this kind has.
#[derive(Debug)]
pub(crate) enum GrantKind {
    ClientCredentials,
    SmartBackendServices,
    /// Holds the first refresh token; later ones are in the store.
    RefreshToken(SecretRef),
    JwtBearer(Assertion),
    TokenExchange(Box<ExchangeSettings>),
    /// A person signs in, for instance with `keyfob login`.
    SignIn(SignInSettings),
}

/// The JWT that is exchanged for a token (RFC 7523 §2.1).
#[derive(Debug)]
pub(crate) enum Assertion {
    Stored(SecretRef),
    Signed {
        key: KeySettings,
        subject: Option<String>,
        audience: Option<String>,
    },
}

/// The token that is exchanged for another one (RFC 8693 §2.1).
#[derive(Debug)]
pub(crate) struct ExchangeSettings {
    pub(crate) subject: SecretRef,
    pub(crate) subject_type: String,
    pub(crate) actor: Option<(SecretRef, String)>,
    pub(crate) requested_type: Option<String>,
}

impl Grant {
    /// All secrets of the grant, each with its key in the file.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let mut secrets = Vec::new();
        secrets.extend(self.client.secret().map(|secret| ("client_secret", secret)));
        secrets.extend(self.signing_key().map(|key| ("private_key", &key.pem)));
        secrets.extend(self.dpop_key.iter().map(|key| ("dpop_key", key)));
        match &self.kind {
            GrantKind::RefreshToken(first) => secrets.push(("refresh_token", first)),
            GrantKind::JwtBearer(Assertion::Stored(assertion)) => {
                secrets.push(("assertion", assertion))
            }
            GrantKind::TokenExchange(exchange) => {
                secrets.push(("subject_token", &exchange.subject));
                let actor = exchange.actor.iter();
                secrets.extend(actor.map(|(actor, _)| ("actor_token", actor)));
            }
            _ => {}
        }
        secrets
    }

    /// The private key that the client signs with: its authentication, or else an assertion.
    pub(crate) fn signing_key(&self) -> Option<&KeySettings> {
        match (&self.client.authentication, &self.kind) {
            (Authentication::PrivateKey(key), _) => Some(key),
            (_, GrantKind::JwtBearer(Assertion::Signed { key, .. })) => Some(key),
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

/// Reads the grant of a table. Unless it names a FHIR server, that is the profile's base URL.
pub(super) fn read(table: &Table<'_>, name: Value<'_>, base_url: Option<&Url>) -> Option<Grant> {
    let grant = name.one_of("grant", &NAMES)?;
    let (name, _) = NAMES.iter().find(|(_, known)| *known == grant)?;
    let server = match grant {
        Name::SmartBackendServices => read_fhir_server(table, base_url),
        _ => read_server(table),
    };
    let client = match grant {
        Name::SmartBackendServices => client::read_with_key(table),
        Name::JwtBearer => client::read(table, DefaultAuthentication::Secret),
        _ => client::read(table, DefaultAuthentication::KeyOrSecret),
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
        scopes: scopes.iter().flat_map(|text| split_scopes(text)).collect(),
        audience,
        resource,
        parameters: parameters.unwrap_or_default(),
        dpop_key,
    })
}

fn read_kind(table: &Table<'_>, grant: Name) -> Option<GrantKind> {
    Some(match grant {
        Name::ClientCredentials => GrantKind::ClientCredentials,
        Name::SmartBackendServices => GrantKind::SmartBackendServices,
        Name::RefreshToken => GrantKind::RefreshToken(
            table
                .require(
                    "refresh_token",
                    "the first refresh token; later ones are in the store",
                )
                .and_then(Value::secret)?,
        ),
        Name::JwtBearer => GrantKind::JwtBearer(read_assertion(table)?),
        Name::TokenExchange => GrantKind::TokenExchange(Box::new(read_exchange(table)?)),
        Name::DeviceCode => GrantKind::SignIn(sign_in::read(table, SignIn::DeviceCode)?),
        Name::AuthorizationCode => {
            GrantKind::SignIn(sign_in::read(table, SignIn::AuthorizationCode)?)
        }
    })
}

fn read_assertion(table: &Table<'_>) -> Option<Assertion> {
    if let Some(stored) = table.get("assertion") {
        return stored.secret().map(Assertion::Stored);
    }
    if !table.has("private_key") {
        table.error("the grant has no assertion; set `assertion` to where one is, or `private_key` to sign one");
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

fn read_exchange(table: &Table<'_>) -> Option<ExchangeSettings> {
    let subject = table
        .require("subject_token", "the token to exchange")
        .and_then(Value::secret);
    let kind = |key| table.get(key).and_then(Value::text).map(token_type);
    let subject_type = kind("subject_token_type");
    let actor_type = kind("actor_token_type");
    let requested_type = kind("requested_token_type");
    let actor = table.get("actor_token").and_then(Value::secret);
    let default = || token_type("access_token");
    Some(ExchangeSettings {
        subject: subject?,
        subject_type: subject_type.unwrap_or_else(default),
        actor: actor.map(|actor| (actor, actor_type.unwrap_or_else(default))),
        requested_type,
    })
}

/// The URI of a token type. The file may give only its last part (RFC 8693 §3).
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
            endpoint.key_error(
                "`issuer` and `token_endpoint` exclude each other; leave one of them out",
            );
            None
        }
        (None, None) => {
            table.error("the grant has no server; set `issuer`, whose metadata has the token endpoint, or `token_endpoint`");
            None
        }
    }
}

fn read_fhir_server(table: &Table<'_>, base_url: Option<&Url>) -> Option<Server> {
    if let Some(value) = table.get("fhir_server") {
        return value.url_as_written().map(Server::Fhir);
    }
    let Some(base) = base_url else {
        table.error("the grant has no server; set `fhir_server`, or the profile's `base_url`");
        return None;
    };
    Some(Server::Fhir(base.as_str().trim_end_matches('/').to_owned()))
}

/// Reads further parameters of the token request.
///
/// A parameter with a key of its own is refused here: it may be a secret, which must not be in the file.
fn read_parameters(value: Value<'_>) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for parameter in value.table()?.each() {
        let name = parameter.key;
        if KEYS.contains(&name) || OWN_PARAMETERS.contains(&name) {
            parameter.key_error(format!(
                "`{name}` does not belong in `parameters`; it has its own key, or the grant sets it"
            ));
        } else if let Some(text) = parameter.text() {
            parameters.push((name.to_owned(), text.to_owned()));
        }
    }
    Some(parameters)
}

/// One text may hold several scopes, separated by spaces as in the parameter `scope` (RFC 6749 §3.3).
fn split_scopes(scopes: &str) -> impl Iterator<Item = String> {
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

/// The keys of all grants.
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

/// Parameters that a grant or a client authentication sets.
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
