//! The client of an authorization server, and how it authenticates (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::oauth::client_authentication::Audience;
use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind, words};
use crate::profile::schema::grant_names as grant;
use crate::profile::schema::place::{LinkReader, TokenPlace};
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// A client and its authentication.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// `None` if the server knows the client by its assertion, or need not know it.
    pub(crate) id: Option<String>,
    pub(crate) authentication: Authentication,
    /// The audience of the assertion by which the client authenticates.
    pub(crate) assertion_audience: Option<Audience>,
}

#[derive(Clone, Debug)]
pub(crate) enum Authentication {
    /// A public client.
    None,
    SecretBasic(SecretRef),
    SecretBasicUnencoded(SecretRef),
    SecretPost(SecretRef),
    PrivateKey(KeySettings),
    /// The certificate of the TLS connection (RFC 8705).
    TlsClient,
    SelfSignedTlsClient,
    /// A client assertion that another source has (RFC 7523 §2.2).
    Assertion(TokenPlace),
}

/// The private key that the client signs with.
#[derive(Clone, Debug)]
pub(crate) struct KeySettings {
    pub(crate) pem: SecretRef,
    pub(crate) passphrase: Option<SecretRef>,
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether its certificate is in the same text, and is named in what it signs (`x5t#S256`).
    pub(crate) has_certificate: bool,
}

#[derive(Clone, Copy)]
enum Method {
    None,
    Secret(fn(SecretRef) -> Authentication),
    PrivateKey,
    TlsClient,
    SelfSignedTlsClient,
    Assertion,
}

/// How a client authenticates if the file does not say so.
#[derive(Clone, Copy)]
pub(super) enum DefaultAuthentication {
    /// With its secret, if it has one.
    Secret,
    /// With its private key if it has one, otherwise with its secret if it has one.
    KeyOrSecret,
}

impl ClientSettings {
    /// The client secret, if the client authenticates with one.
    pub(crate) fn secret(&self) -> Option<&SecretRef> {
        match &self.authentication {
            Authentication::SecretBasic(secret)
            | Authentication::SecretBasicUnencoded(secret)
            | Authentication::SecretPost(secret) => Some(secret),
            Authentication::Assertion(assertion) => assertion.secret(),
            Authentication::None
            | Authentication::PrivateKey(_)
            | Authentication::TlsClient
            | Authentication::SelfSignedTlsClient => None,
        }
    }
}

/// Whether a table must have the identifier of the client.
#[derive(Clone, Copy)]
pub(super) enum ClientId {
    Required,
    /// A server may know the client by its assertion alone.
    UnlessAssertion,
    Optional,
}

impl KeySettings {
    /// The secrets of the key, each with its key in the file.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let passphrase = self.passphrase.iter();
        let passphrase = passphrase.map(|secret| ("private_key_passphrase", secret));
        std::iter::once(("private_key", &self.pem))
            .chain(passphrase)
            .collect()
    }
}

impl DefaultAuthentication {
    fn method(self, table: &Table<'_>) -> Method {
        match self {
            // The key comes before the secret, because the client never sends it.
            Self::KeyOrSecret if table.has("private_key") => Method::PrivateKey,
            // RFC 6749 §2.3.1: the server "MUST support the HTTP Basic authentication scheme".
            _ if table.has("client_secret") => SECRET_BASIC,
            _ => Method::None,
        }
    }
}

pub(super) fn read(
    table: &Table<'_>,
    authentication: Read<Authentication>,
    needed: ClientId,
) -> Read<ClientSettings> {
    let purpose = "the id that the server has for this client";
    let is_required = match needed {
        ClientId::Required => true,
        ClientId::UnlessAssertion => !table.has("client_assertion"),
        ClientId::Optional => false,
    };
    let id = match is_required {
        true => table.required("client_id", purpose, Value::text).map(Some),
        false => Ok(table.optional("client_id", Value::text)),
    };
    Ok(ClientSettings {
        id: id?,
        authentication: authentication?,
        assertion_audience: None,
    })
}

/// Reads the audience of the client's assertion: `issuer`, `token_endpoint`, or what the server documents.
pub(super) fn read_audience(table: &Table<'_>, client: &mut ClientSettings) {
    if !matches!(client.authentication, Authentication::PrivateKey(_)) {
        return;
    }
    let audience = table.optional("assertion_audience", Value::text);
    client.assertion_audience = audience.map(|text| match text.as_str() {
        "issuer" => Audience::Issuer,
        "token_endpoint" => Audience::TokenEndpoint,
        _ => Audience::Other(text),
    });
}

pub(super) fn read_authentication(
    table: &Table<'_>,
    default: DefaultAuthentication,
    links: &LinkReader<'_>,
) -> Read<Authentication> {
    let method = match table.at_most_one("client_assertion", "client_authentication")? {
        (_, Some(value)) => value.one_of("client authentication", &METHODS)?,
        (Some(_), _) => Method::Assertion,
        (None, None) => default.method(table),
    };
    Ok(match method {
        Method::None => Authentication::None,
        Method::Secret(with_secret) => {
            let purpose = "the client sends it to the token endpoint";
            with_secret(table.required("client_secret", purpose, Value::secret)?)
        }
        Method::PrivateKey => Authentication::PrivateKey(read_key(table)?),
        Method::TlsClient => Authentication::TlsClient,
        Method::SelfSignedTlsClient => Authentication::SelfSignedTlsClient,
        Method::Assertion => {
            let purpose = "the JWT by which the client authenticates";
            let assertion = table.required("client_assertion", purpose, |value| {
                links.place(value.key, value)
            });
            Authentication::Assertion(assertion?)
        }
    })
}

/// Reads the private key that the client signs with.
pub(super) fn read_key(table: &Table<'_>) -> Read<KeySettings> {
    let purpose = "the key in PEM that the client signs with";
    let pem = table.required("private_key", purpose, Value::secret);
    let passphrase = table.optional("private_key_passphrase", Value::secret);
    let id = table.optional("key_id", Value::text);
    let algorithm = table.optional("algorithm", |value| {
        value.one_of("algorithm", &algorithms())
    });
    Ok(KeySettings {
        pem: pem?,
        passphrase,
        id,
        algorithm,
        has_certificate: false,
    })
}

const METHODS: [(&str, Method); 7] = [
    ("none", Method::None),
    ("client_secret_basic", SECRET_BASIC),
    (
        "client_secret_basic_unencoded",
        Method::Secret(Authentication::SecretBasicUnencoded),
    ),
    (
        "client_secret_post",
        Method::Secret(Authentication::SecretPost),
    ),
    ("private_key_jwt", Method::PrivateKey),
    ("tls_client_auth", Method::TlsClient),
    ("self_signed_tls_client_auth", Method::SelfSignedTlsClient),
];

const SECRET_BASIC: Method = Method::Secret(Authentication::SecretBasic);

fn algorithms() -> Vec<(&'static str, Algorithm)> {
    let all = Algorithm::ALL.iter();
    all.map(|algorithm| (algorithm.name(), *algorithm))
        .collect()
}

/// The keys of a client.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "client_id",
        Kind::Text,
        "the name of the client at the server",
    )
    .only(grant::ALL),
    Key::new(
        "client_authentication",
        Kind::Word(|| words(&METHODS)),
        "how the client authenticates to the token endpoint",
    )
    .default("depends on which secret is set")
    .only(grant::ALL_BUT_SMART),
    Key::new(
        "client_secret",
        Kind::Secret,
        "reference to the client secret",
    )
    .only(grant::ALL_BUT_SMART),
    Key::new(
        "client_assertion",
        Kind::Token,
        "reference to a JWT by which the client authenticates, or a table; it is read for each token request",
    )
    .only(grant::ALL_BUT_SMART),
    Key::new(
        "private_key",
        Kind::Secret,
        "reference to the key that the client signs with: PEM, a JWK, or a set of JWKs",
    )
    .only(grant::WITH_KEY),
    Key::new(
        "private_key_passphrase",
        Kind::Secret,
        "reference to the passphrase, if that PEM is encrypted",
    )
    .default("none")
    .only(grant::WITH_KEY)
    .needs("private_key"),
    Key::new(
        "key_id",
        Kind::Text,
        "the name of that key at the server (`kid`); it also chooses the key of a set",
    )
    .default("the one in the JWK")
    .only(grant::WITH_KEY)
    .needs("private_key"),
    Key::new(
        "algorithm",
        Kind::Word(|| words(&algorithms())),
        "the algorithm of the signature",
    )
    .default("depends on the key")
    .only(grant::WITH_KEY)
    .needs("private_key"),
    Key::new(
        "assertion_audience",
        Kind::Text,
        "the audience of the assertion that the client signs: `issuer`, `token_endpoint` or another text",
    )
    .default("issuer if the profile names one")
    .only(grant::ALL)
    .needs("private_key"),
];
