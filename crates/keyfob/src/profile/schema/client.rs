//! The client of an authorization server, and how it authenticates (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Table, Value};

/// A client and its authentication.
#[derive(Debug)]
pub(crate) struct ClientSettings {
    pub(crate) id: String,
    pub(crate) authentication: Authentication,
}

#[derive(Debug)]
pub(crate) enum Authentication {
    /// A public client.
    None,
    SecretBasic(SecretRef),
    SecretBasicUnencoded(SecretRef),
    SecretPost(SecretRef),
    PrivateKey(KeySettings),
}

/// The private key that the client signs with.
#[derive(Debug)]
pub(crate) struct KeySettings {
    pub(crate) pem: SecretRef,
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Option<Algorithm>,
}

#[derive(Clone, Copy)]
enum Method {
    None,
    SecretBasic,
    SecretBasicUnencoded,
    SecretPost,
    PrivateKey,
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
            Authentication::None | Authentication::PrivateKey(_) => None,
        }
    }
}

pub(super) fn read(table: &Table<'_>, default: DefaultAuthentication) -> Option<ClientSettings> {
    let id = read_id(table);
    let authentication = read_authentication(table, default);
    Some(ClientSettings {
        id: id?,
        authentication: authentication?,
    })
}

/// Reads a client that authenticates with its private key only.
pub(super) fn read_with_key(table: &Table<'_>) -> Option<ClientSettings> {
    let id = read_id(table);
    let key = read_key(table);
    Some(ClientSettings {
        id: id?,
        authentication: Authentication::PrivateKey(key?),
    })
}

fn read_id(table: &Table<'_>) -> Option<String> {
    let id = table.require("client_id", "the id that the server has for this client")?;
    id.text().map(str::to_owned)
}

fn read_authentication(
    table: &Table<'_>,
    default: DefaultAuthentication,
) -> Option<Authentication> {
    let method = match table.get("client_authentication") {
        Some(value) => value.one_of("client authentication", &METHODS)?,
        None => match default {
            DefaultAuthentication::KeyOrSecret if table.has("private_key") => Method::PrivateKey,
            _ if table.has("client_secret") => Method::SecretBasic,
            _ => Method::None,
        },
    };
    let secret = || {
        let value = table.require("client_secret", "the client sends it to the token endpoint");
        value.and_then(Value::secret)
    };
    Some(match method {
        Method::None => Authentication::None,
        Method::SecretBasic => Authentication::SecretBasic(secret()?),
        Method::SecretBasicUnencoded => Authentication::SecretBasicUnencoded(secret()?),
        Method::SecretPost => Authentication::SecretPost(secret()?),
        Method::PrivateKey => Authentication::PrivateKey(read_key(table)?),
    })
}

/// Reads the private key that the client signs with.
pub(super) fn read_key(table: &Table<'_>) -> Option<KeySettings> {
    let pem = table
        .require("private_key", "the key in PEM that the client signs with")
        .and_then(Value::secret);
    let id = table.get("key_id").and_then(Value::text);
    let algorithm = match table.get("algorithm") {
        Some(value) => Some(value.one_of("algorithm", &ALGORITHMS)?),
        None => None,
    };
    Some(KeySettings {
        pem: pem?,
        id: id.map(str::to_owned),
        algorithm,
    })
}

const METHODS: [(&str, Method); 5] = [
    ("none", Method::None),
    ("client_secret_basic", Method::SecretBasic),
    (
        "client_secret_basic_unencoded",
        Method::SecretBasicUnencoded,
    ),
    ("client_secret_post", Method::SecretPost),
    ("private_key_jwt", Method::PrivateKey),
];

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("EdDSA", Algorithm::EdDsa),
];
