//! How a client shows a token endpoint who it is (RFC 6749 §2.3, RFC 7523 §2.2).

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::secret_ref::Reference;
use crate::profile::table::{Table, Value};

/// A client, and its way to authenticate.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) authentication: Authentication,
}

#[derive(Debug)]
pub(crate) enum Authentication {
    /// A public client.
    None,
    SecretBasic(Reference),
    UnencodedBasic(Reference),
    SecretPost(Reference),
    PrivateKey(Key),
}

/// A private key, with which the client signs.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) pem: Reference,
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Option<Algorithm>,
}

#[derive(Clone, Copy)]
enum Method {
    None,
    SecretBasic,
    UnencodedBasic,
    SecretPost,
    PrivateKey,
}

/// How a client authenticates if the file does not say it.
#[derive(Clone, Copy)]
pub(super) enum UnlessSaid {
    /// With its secret, if there is one.
    BySecret,
    /// With its private key, or else its secret, whichever there is.
    BySecretOrKey,
}

impl Client {
    /// The secret that it shares with the server.
    pub(crate) fn secret(&self) -> Option<&Reference> {
        match &self.authentication {
            Authentication::SecretBasic(secret)
            | Authentication::UnencodedBasic(secret)
            | Authentication::SecretPost(secret) => Some(secret),
            Authentication::None | Authentication::PrivateKey(_) => None,
        }
    }
}

pub(super) fn read(table: &Table<'_>, usual: UnlessSaid) -> Option<Client> {
    let id = read_id(table);
    let authentication = read_authentication(table, usual);
    Some(Client {
        id: id?,
        authentication: authentication?,
    })
}

/// A client that can authenticate with its private key only.
pub(super) fn read_with_key(table: &Table<'_>) -> Option<Client> {
    let id = read_id(table);
    let key = read_key(table);
    Some(Client {
        id: id?,
        authentication: Authentication::PrivateKey(key?),
    })
}

fn read_id(table: &Table<'_>) -> Option<String> {
    let id = table.need(
        "client_id",
        "the name under which the server knows this client",
    )?;
    id.text().map(str::to_owned)
}

/// As said, or as the secret that is there suggests.
fn read_authentication(table: &Table<'_>, usual: UnlessSaid) -> Option<Authentication> {
    let method = match table.get("client_authentication") {
        Some(value) => value.one_of("client authentication", &METHODS)?,
        None => match usual {
            UnlessSaid::BySecretOrKey if table.has("private_key") => Method::PrivateKey,
            _ if table.has("client_secret") => Method::SecretBasic,
            _ => Method::None,
        },
    };
    let secret = || {
        let value = table.need("client_secret", "the client shows it to the token endpoint");
        value.and_then(Value::secret)
    };
    Some(match method {
        Method::None => Authentication::None,
        Method::SecretBasic => Authentication::SecretBasic(secret()?),
        Method::UnencodedBasic => Authentication::UnencodedBasic(secret()?),
        Method::SecretPost => Authentication::SecretPost(secret()?),
        Method::PrivateKey => Authentication::PrivateKey(read_key(table)?),
    })
}

/// The private key that the client signs with.
pub(super) fn read_key(table: &Table<'_>) -> Option<Key> {
    let pem = table
        .need(
            "private_key",
            "the key, in PEM, with which the client signs",
        )
        .and_then(Value::secret);
    let id = table.get("key_id").and_then(Value::text);
    let algorithm = match table.get("algorithm") {
        Some(value) => Some(value.one_of("algorithm", &ALGORITHMS)?),
        None => None,
    };
    Some(Key {
        pem: pem?,
        id: id.map(str::to_owned),
        algorithm,
    })
}

const METHODS: [(&str, Method); 5] = [
    ("none", Method::None),
    ("client_secret_basic", Method::SecretBasic),
    ("client_secret_basic_unencoded", Method::UnencodedBasic),
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
