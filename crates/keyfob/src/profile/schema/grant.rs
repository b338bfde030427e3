//! An OAuth 2.0 grant, as a profile describes it.

use std::path::PathBuf;

use futures_util::future::OptionFuture;
use url::Url;

use crate::error::error::Error;
use crate::oauth::dpop::DpopProver;
use crate::oauth::grants::options::RESERVED;
use crate::origin::client_certificate::ClientCertificate;
use crate::origin::origin::Origin;
use crate::profile::client_certificate::CertificateFiles;
use crate::profile::dpop_key::DpopKey;
use crate::profile::key::words;
use crate::profile::schema::client::{
    Authentication, ClientId, ClientSettings, DefaultAuthentication, KeySettings,
};
use crate::profile::schema::grant_names::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, CUSTOM, DEVICE_CODE, JWT_BEARER, REFRESH_TOKEN,
    SMART_BACKEND_SERVICES, TOKEN_EXCHANGE,
};
use crate::profile::schema::place::{LinkReader, TokenPlace};
use crate::profile::schema::sign_in::{SignIn, SignInSettings};
use crate::profile::schema::{client, grant_keys, sign_in};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};
use crate::token::token::check_scheme;

/// A grant: the authorization server, the client, and the parameters of the token request.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The name in the file.
    pub(crate) name: String,
    pub(crate) kind: GrantKind,
    pub(crate) server: Server,
    pub(crate) client: ClientSettings,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) resource: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) secret_parameters: Vec<(String, SecretRef)>,
    /// The key that tokens are bound to (DPoP, RFC 9449).
    pub(crate) dpop_key: Option<DpopKey>,
    /// The CA file of the profile.
    pub(crate) ca_file: Option<PathBuf>,
    /// The origin at which the server may be reached over plain http.
    pub(crate) plain_http: Option<Origin>,
    /// The certificate that the token endpoint sees.
    pub(crate) client_certificate: Option<CertificateFiles>,
    /// The scheme of the tokens, whatever type the server writes.
    pub(crate) token_type: Option<String>,
    /// Whether the ID token of a response is the token.
    pub(crate) uses_id_token: bool,
    /// What a person can do about a refusal: a code or a word of the error, and what to do. The first that fits counts.
    pub(crate) advice: &'static [(&'static str, &'static str)],
}

/// The server that issues the tokens.
///
/// An issuer is kept as the file spells it, because it is compared with the metadata character by character (RFC 8414 §3.3).
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// The endpoints are in the metadata of this issuer (RFC 8414).
    Issuer(String),
    /// The endpoints are in the SMART configuration of this FHIR server.
    Fhir(String),
    TokenEndpoint(String),
}

/// The kind of a grant, with the settings that only this kind has.
#[derive(Clone, Debug)]
pub(crate) enum GrantKind {
    ClientCredentials,
    SmartBackendServices,
    /// A grant type that the server defines (RFC 6749 §4.5).
    Custom {
        grant_type: String,
    },
    /// Holds the first refresh token; later ones are in the store.
    RefreshToken(SecretRef),
    JwtBearer(Assertion),
    TokenExchange(Box<ExchangeSettings>),
    /// A person signs in, for instance with `keyfob login`.
    SignIn(SignInSettings),
}

/// The JWT that is exchanged for a token (RFC 7523 §2.1).
#[derive(Clone, Debug)]
pub(crate) enum Assertion {
    Stored(TokenPlace),
    Signed {
        key: KeySettings,
        subject: Option<String>,
        audience: Option<String>,
    },
}

/// The token that is exchanged for another one (RFC 8693 §2.1).
#[derive(Clone, Debug)]
pub(crate) struct ExchangeSettings {
    pub(crate) subject: TokenPlace,
    pub(crate) subject_type: String,
    pub(crate) actor: Option<(TokenPlace, String)>,
    pub(crate) requested_type: Option<String>,
}

impl Grant {
    /// A grant at this server, without parameters.
    pub(crate) fn new(name: &str, kind: GrantKind, server: Server, client: ClientSettings) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            server,
            client,
            scopes: Vec::new(),
            audience: Vec::new(),
            resource: Vec::new(),
            parameters: Vec::new(),
            secret_parameters: Vec::new(),
            dpop_key: None,
            ca_file: None,
            plain_http: None,
            client_certificate: None,
            token_type: None,
            uses_id_token: false,
            advice: &[],
        }
    }

    /// All secrets of the grant, each with its key in the file.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let mut secrets = Vec::new();
        let key = match self.client.authentication {
            Authentication::Assertion(_) => "client_assertion",
            _ => "client_secret",
        };
        secrets.extend(self.client.secret().map(|secret| (key, secret)));
        if let Some(key) = self.signing_key() {
            secrets.extend(key.secrets());
        }
        if let Some(key) = &self.dpop_key {
            secrets.push(("dpop_key", &key.secret));
            let passphrase = key.passphrase.iter();
            secrets.extend(passphrase.map(|secret| ("dpop_key_passphrase", secret)));
        }
        let parameters = self.secret_parameters.iter();
        secrets.extend(parameters.map(|(_, secret)| ("secret_parameters", secret)));
        match &self.kind {
            GrantKind::RefreshToken(first) => secrets.push(("refresh_token", first)),
            GrantKind::JwtBearer(Assertion::Stored(assertion)) => {
                secrets.extend(assertion.secret().map(|secret| ("assertion", secret)));
            }
            GrantKind::TokenExchange(exchange) => {
                let subject = exchange.subject.secret();
                secrets.extend(subject.map(|secret| ("subject_token", secret)));
                let actor = exchange
                    .actor
                    .iter()
                    .filter_map(|(actor, _)| actor.secret());
                secrets.extend(actor.map(|secret| ("actor_token", secret)));
            }
            _ => {}
        }
        secrets
    }

    /// Whether a fetch uses up a refresh token.
    pub(crate) fn consumes_refresh_token(&self) -> bool {
        matches!(self.kind, GrantKind::RefreshToken(_) | GrantKind::SignIn(_))
    }

    /// Whether the platform gives what stands in for a secret, or a variable of the environment holds the token of the subject.
    pub(crate) fn is_of_this_run(&self) -> bool {
        let subjects = match &self.kind {
            GrantKind::JwtBearer(Assertion::Stored(assertion)) => vec![assertion],
            GrantKind::TokenExchange(exchange) => {
                let actor = exchange.actor.iter().map(|(actor, _)| actor);
                actor.chain([&exchange.subject]).collect()
            }
            _ => Vec::new(),
        };
        let mut subjects = subjects.into_iter().filter_map(TokenPlace::secret);
        matches!(self.client.authentication, Authentication::Assertion(_))
            || subjects.any(SecretRef::is_variable)
    }

    /// The prover of the DPoP key; `None` if tokens are not bound to a key.
    pub(crate) async fn prover(&self) -> Result<Option<DpopProver>, Error> {
        let prover = self.dpop_key.as_ref().map(DpopKey::prover);
        OptionFuture::from(prover).await.transpose()
    }

    /// The client certificate that the token endpoint sees.
    pub(crate) async fn certificate(&self) -> Result<Option<ClientCertificate>, Error> {
        let files = self.client_certificate.as_ref();
        let certificate = files.map(CertificateFiles::certificate);
        OptionFuture::from(certificate).await.transpose()
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

#[derive(Clone, Copy)]
enum Name {
    ClientCredentials,
    SmartBackendServices,
    Custom,
    RefreshToken,
    JwtBearer,
    TokenExchange,
    SignIn(SignIn),
}

/// Reads the grant of a table. Unless it names a FHIR server, that is the profile's base URL.
pub(super) fn read(
    table: &Table<'_>,
    name: &Value<'_>,
    base_url: Option<&Url>,
    links: &LinkReader<'_>,
) -> Read<Grant> {
    let grant = name.one_of("grant", &NAMES)?;
    let texts = |key| table.optional(key, Value::texts).unwrap_or_default();
    let server = match grant {
        Name::SmartBackendServices => read_fhir_server(table, base_url),
        _ => read_server(table),
    };
    let authentication = match grant {
        // SMART allows no other authentication.
        Name::SmartBackendServices => client::read_key(table).map(Authentication::PrivateKey),
        // The private key signs the assertion. That does not mean that the client authenticates with it too.
        Name::JwtBearer => client::read_authentication(table, DefaultAuthentication::Secret, links),
        _ => client::read_authentication(table, DefaultAuthentication::KeyOrSecret, links),
    };
    // In these, another token says who asks, and some servers need to know no more.
    let id = match grant {
        Name::TokenExchange | Name::JwtBearer => ClientId::Optional,
        // The browser sends it, whatever the token request does.
        Name::SignIn(_) | Name::SmartBackendServices => ClientId::Required,
        _ => ClientId::UnlessAssertion,
    };
    let mut client = client::read(table, authentication, id);
    // For this grant, the audience is that of the assertion which is exchanged.
    if let (Ok(client), false) = (&mut client, matches!(grant, Name::JwtBearer)) {
        client::read_audience(table, client);
    }
    let (audience, resource) = match grant {
        // SMART defines neither parameter: the token is for the FHIR server.
        Name::SmartBackendServices => (Vec::new(), Vec::new()),
        _ => (texts("audience"), texts("resource")),
    };
    let token_type = match grant {
        // SMART allows bearer tokens only.
        Name::SmartBackendServices => None,
        _ => table.optional("token_type", read_token_type),
    };
    let scopes = texts("scopes");
    let parameters = table.optional("parameters", read_parameters);
    let secret_parameters = match grant {
        // A sign-in sends its parameters in a URL.
        Name::SignIn(_) => None,
        _ => table.optional("secret_parameters", |value| {
            read_secret_parameters(value, parameters.as_deref().unwrap_or_default())
        }),
    };
    let dpop_key = table.optional("dpop_key", Value::secret).map(|secret| {
        let passphrase = table.optional("dpop_key_passphrase", Value::secret);
        DpopKey::new(secret, passphrase)
    });
    let uses_id_token = match grant {
        // Their responses have none.
        Name::SmartBackendServices => None,
        _ => table.optional("use_id_token", Value::flag),
    };
    let kind = read_kind(table, grant, links);
    Ok(Grant {
        name: name.text()?,
        kind: kind?,
        server: server?,
        client: client?,
        // One text may hold several scopes, separated by spaces as in the parameter `scope` (RFC 6749 §3.3).
        scopes: scopes
            .iter()
            .flat_map(|text| text.split_whitespace())
            .map(str::to_owned)
            .collect(),
        audience,
        resource,
        parameters: parameters.unwrap_or_default(),
        secret_parameters: secret_parameters.unwrap_or_default(),
        dpop_key,
        ca_file: None,
        client_certificate: None,
        plain_http: table.optional("allow_plain_http", Value::origin),
        token_type,
        uses_id_token: uses_id_token.unwrap_or_default(),
        advice: &[],
    })
}

fn read_kind(table: &Table<'_>, grant: Name, links: &LinkReader<'_>) -> Read<GrantKind> {
    Ok(match grant {
        Name::ClientCredentials => GrantKind::ClientCredentials,
        Name::SmartBackendServices => GrantKind::SmartBackendServices,
        Name::Custom => {
            let purpose = "the grant type as the server's documentation spells it";
            let grant_type = table.required("grant_type", purpose, Value::text)?;
            GrantKind::Custom { grant_type }
        }
        Name::RefreshToken => {
            let purpose = "the first refresh token; later ones are in the store";
            GrantKind::RefreshToken(table.required("refresh_token", purpose, Value::secret)?)
        }
        Name::JwtBearer => GrantKind::JwtBearer(read_assertion(table, links)?),
        Name::TokenExchange => GrantKind::TokenExchange(Box::new(read_exchange(table, links)?)),
        Name::SignIn(how) => GrantKind::SignIn(sign_in::read(table, how)),
    })
}

fn read_assertion(table: &Table<'_>, links: &LinkReader<'_>) -> Read<Assertion> {
    // A stored assertion has its claims already, so `subject` and `assertion_audience` are reported as wrong here.
    if let Some(stored) = table.get("assertion") {
        return links.place(stored.key, &stored).map(Assertion::Stored);
    }
    if !table.has("private_key") {
        return Err(table.error("the grant has no assertion; set `assertion` to where one is, or `private_key` to sign one"));
    }
    let subject = table.optional("subject", Value::text);
    let audience = table.optional("assertion_audience", Value::text);
    Ok(Assertion::Signed {
        key: client::read_key(table)?,
        subject,
        audience,
    })
}

fn read_exchange(table: &Table<'_>, links: &LinkReader<'_>) -> Read<ExchangeSettings> {
    let place = |value: &Value<'_>| links.place(value.key, value);
    let subject = table.required("subject_token", "the token to exchange", place);
    let kind = |key| table.optional(key, |value| value.text().map(token_type));
    let default = || token_type("access_token".to_owned());
    let subject_type = kind("subject_token_type").unwrap_or_else(default);
    let actor_type = kind("actor_token_type").unwrap_or_else(default);
    let actor = table.optional("actor_token", place);
    let requested_type = kind("requested_token_type");
    Ok(ExchangeSettings {
        subject: subject?,
        subject_type,
        actor: actor.map(|actor| (actor, actor_type)),
        requested_type,
    })
}

/// The URI of a token type. The file may give only its last part (RFC 8693 §3).
fn token_type(name: String) -> String {
    match name.contains(':') {
        true => name,
        false => format!("urn:ietf:params:oauth:token-type:{name}"),
    }
}

fn read_token_type(value: &Value<'_>) -> Read<String> {
    let scheme = value.text()?;
    match check_scheme(&scheme) {
        Ok(()) => Ok(scheme),
        Err(error) => Err(value.error(format!("`token_type`: {error}"))),
    }
}

fn read_server(table: &Table<'_>) -> Read<Server> {
    match table.at_most_one("issuer", "token_endpoint")? {
        (Some(issuer), _) => issuer.url_as_written().map(Server::Issuer),
        (_, Some(endpoint)) => endpoint.url_as_written().map(Server::TokenEndpoint),
        (None, None) => Err(table.error("the grant has no server; set `issuer`, whose metadata has the token endpoint, or `token_endpoint`")),
    }
}

fn read_fhir_server(table: &Table<'_>, base_url: Option<&Url>) -> Read<Server> {
    let url = match (table.get("fhir_server"), base_url) {
        (Some(value), _) => value.url_as_written()?,
        // SMART writes a FHIR base URL without the slash that a profile's base URL ends with.
        (None, Some(base)) => base.as_str().trim_end_matches('/').to_owned(),
        (None, None) => {
            return Err(table
                .error("the grant has no server; set `fhir_server`, or the profile's `base_url`"));
        }
    };
    Ok(Server::Fhir(url))
}

/// Reads further parameters of the token request.
fn read_parameters(value: &Value<'_>) -> Read<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for parameter in value.entries()? {
        let name = parameter.key;
        // A parameter with a key of its own may be a secret, which must not be in the file.
        let mut own = [grant_keys::KEYS, client::KEYS, sign_in::KEYS]
            .into_iter()
            .flatten();
        let has_own_key = own.any(|key| key.name == name);
        if has_own_key || RESERVED.contains(&name) || name == "password" {
            parameter.key_error(format!(
                "`{name}` does not belong in `parameters`; it has its own key, or the grant sets it"
            ));
        } else if let Ok(text) = parameter.text() {
            parameters.push((name.to_owned(), text));
        }
    }
    Ok(parameters)
}

/// Reads further parameters of the token request that are secrets.
fn read_secret_parameters(
    value: &Value<'_>,
    others: &[(String, String)],
) -> Read<Vec<(String, SecretRef)>> {
    let mut parameters = Vec::new();
    for parameter in value.entries()? {
        let name = parameter.key;
        if RESERVED.contains(&name) {
            parameter.key_error(format!(
                "`{name}` does not belong in `secret_parameters`; it has its own key, or the grant sets it"
            ));
        } else if others.iter().any(|(other, _)| other == name) {
            parameter.key_error(format!(
                "`{name}` is in `parameters` too, and a request must not repeat it; remove one of them"
            ));
        } else if let Ok(secret) = parameter.secret() {
            parameters.push((name.to_owned(), secret));
        }
    }
    Ok(parameters)
}

/// The names of all grants, for messages and for the JSON Schema.
pub(super) fn names() -> Vec<&'static str> {
    words(&NAMES)
}

const NAMES: [(&str, Name); 8] = [
    (CLIENT_CREDENTIALS, Name::ClientCredentials),
    (SMART_BACKEND_SERVICES, Name::SmartBackendServices),
    (CUSTOM, Name::Custom),
    (REFRESH_TOKEN, Name::RefreshToken),
    (JWT_BEARER, Name::JwtBearer),
    (TOKEN_EXCHANGE, Name::TokenExchange),
    (DEVICE_CODE, Name::SignIn(SignIn::DeviceCode)),
    (AUTHORIZATION_CODE, Name::SignIn(SignIn::AuthorizationCode)),
];
