//! A grant of an OAuth 2.0 server, as a profile describes it.

use std::fmt;

use url::Url;

use crate::profile::reference::Reference;
use crate::profile::schema::client;
use crate::profile::schema::client::Authentication;
use crate::profile::schema::client::Client;
use crate::profile::table::Table;
use crate::profile::table::Value;

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
    pub(crate) dpop: bool,
}

impl Grant {
    /// All its secrets, with the keys that name them.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &Reference)> {
        let mut secrets = Vec::new();
        match &self.client.authentication {
            Authentication::None => {}
            Authentication::SecretBasic(secret) | Authentication::SecretPost(secret) => {
                secrets.push(("client_secret", secret));
            }
            Authentication::PrivateKey(key) => secrets.push(("private_key", &key.pem)),
        }
        match &self.kind {
            Kind::ClientCredentials | Kind::SmartBackendServices | Kind::SignIn(_) => {}
            Kind::RefreshToken(first) => secrets.push(("refresh_token", first)),
            Kind::JwtBearer(assertion) => secrets.push(("assertion", assertion)),
            Kind::TokenExchange(exchange) => {
                secrets.push(("subject_token", &exchange.subject));
                let actor = exchange.actor.iter();
                secrets.extend(actor.map(|(actor, _)| ("actor_token", actor)));
            }
        }
        secrets
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Server::Issuer(url) | Server::Endpoint(url)) = &self.server;
        write!(
            f,
            "{} at {}{}",
            self.name,
            url.origin().ascii_serialization(),
            url.path()
        )
    }
}

/// Where the token endpoint is.
#[derive(Debug)]
pub(crate) enum Server {
    /// As the metadata of this issuer say (RFC 8414).
    Issuer(Url),
    Endpoint(Url),
}

/// What a grant needs besides the client.
#[derive(Debug)]
pub(crate) enum Kind {
    ClientCredentials,
    SmartBackendServices,
    /// The refresh token with which it begins; later ones are in the store.
    RefreshToken(Reference),
    JwtBearer(Reference),
    TokenExchange(Box<Exchange>),
    /// Begun by a person with `keyfob login`.
    SignIn(SignIn),
}

/// A token that is given for another one (RFC 8693 §2.1).
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) subject: Reference,
    pub(crate) subject_type: String,
    pub(crate) actor: Option<(Reference, String)>,
    pub(crate) requested_type: Option<String>,
}

/// How a person signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignIn {
    DeviceCode,
    AuthorizationCode,
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

pub(super) fn read(table: &Table<'_>, named: Value<'_>) -> Option<Grant> {
    let grant = named.one_of("grant", &NAMES)?;
    let server = read_server(table);
    let client = client::read(table);
    let texts = |key| table.get(key).and_then(Value::texts).unwrap_or_default();
    let (scopes, audience, resource) = (texts("scopes"), texts("audience"), texts("resource"));
    let parameters = table.get("parameters").and_then(read_parameters);
    let dpop = table.get("dpop").and_then(Value::flag);
    let kind = read_kind(table, grant);
    let (name, _) = NAMES.iter().find(|(_, named)| *named == grant)?;
    Some(Grant {
        name,
        kind: kind?,
        server: server?,
        client: client?,
        scopes: scopes.iter().flat_map(|scopes| words(scopes)).collect(),
        audience,
        resource,
        parameters: parameters.unwrap_or_default(),
        dpop: dpop.unwrap_or_default(),
    })
}

fn read_kind(table: &Table<'_>, grant: Name) -> Option<Kind> {
    let secret = |key, why| table.need(key, why).and_then(Value::secret);
    Some(match grant {
        Name::ClientCredentials => Kind::ClientCredentials,
        Name::SmartBackendServices => Kind::SmartBackendServices,
        Name::RefreshToken => Kind::RefreshToken(secret(
            "refresh_token",
            "the refresh token to begin with; later ones are kept in the store",
        )?),
        Name::JwtBearer => Kind::JwtBearer(secret(
            "assertion",
            "the JWT that is given for a token; it is read anew each time",
        )?),
        Name::TokenExchange => Kind::TokenExchange(Box::new(read_exchange(table)?)),
        Name::DeviceCode => Kind::SignIn(SignIn::DeviceCode),
        Name::AuthorizationCode => Kind::SignIn(SignIn::AuthorizationCode),
    })
}

fn read_exchange(table: &Table<'_>) -> Option<Exchange> {
    let subject = table
        .need("subject_token", "the token that another one is given for")
        .and_then(Value::secret);
    let kind = |key| table.get(key).and_then(Value::text).map(str::to_owned);
    let subject_type = kind("subject_token_type");
    let actor_type = kind("actor_token_type");
    let requested_type = kind("requested_token_type");
    let actor = table.get("actor_token").and_then(Value::secret);
    Some(Exchange {
        subject: subject?,
        subject_type: subject_type.unwrap_or_else(|| ACCESS_TOKEN.to_owned()),
        actor: actor.map(|actor| (actor, actor_type.unwrap_or_else(|| ACCESS_TOKEN.to_owned()))),
        requested_type,
    })
}

fn read_server(table: &Table<'_>) -> Option<Server> {
    match (table.get("issuer"), table.get("token_endpoint")) {
        (Some(issuer), None) => issuer.url().map(Server::Issuer),
        (None, Some(endpoint)) => endpoint.url().map(Server::Endpoint),
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
pub(super) const KEYS: [&str; 20] = [
    "issuer",
    "token_endpoint",
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
    "dpop",
    "refresh_token",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
];

/// Parameters that a grant or a client authentication sets itself.
const OWN_PARAMETERS: [&str; 9] = [
    "grant_type",
    "scope",
    "client_assertion",
    "client_assertion_type",
    "code",
    "code_verifier",
    "device_code",
    "password",
    "redirect_uri",
];

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
