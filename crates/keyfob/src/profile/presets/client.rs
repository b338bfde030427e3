//! What the presets share whose token comes from an OAuth 2.0 server: the keys of a client, and its settings.

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::Values;
use crate::profile::schema::client::{Authentication, ClientSettings, KeySettings};
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::SecretRef;

pub(super) const CLIENT_ID: Key = Key::new("client_id", Kind::Text, ABOUT_ID);
pub(super) const CLIENT_SECRET: Key = Key::new("client_secret", Kind::Secret, ABOUT_SECRET);
pub(super) const PRIVATE_KEY: Key = Key::new("private_key", Kind::Secret, ABOUT_KEY);

pub(super) const KEY_ID: Key = Key::new(
    "key_id",
    Kind::Text,
    "the id of that key at the server, if it is not in the JWK",
);

pub(super) const CLIENT_ASSERTION: Key = Key::new(
    "client_assertion",
    Kind::Token,
    "where a JWT of another issuer is, in place of a secret",
);

/// A client that authenticates with its secret in this way.
pub(super) fn with_secret(
    values: &Values,
    method: fn(SecretRef) -> Authentication,
) -> ClientSettings {
    client(values, method(values.secret("client_secret")))
}

/// A client that signs with its private key.
pub(super) fn with_key(values: &Values, algorithm: Option<Algorithm>) -> ClientSettings {
    let key = KeySettings {
        pem: values.secret("private_key"),
        passphrase: None,
        id: values.given_text("key_id").map(str::to_owned),
        algorithm,
        has_certificate: false,
    };
    client(values, Authentication::PrivateKey(key))
}

/// A client that authenticates with what the table has: a secret, a key, or a JWT of another issuer.
pub(super) fn any_client(
    values: &Values,
    method: fn(SecretRef) -> Authentication,
) -> Result<ClientSettings, String> {
    let secret = values.given_secret("client_secret").map(method);
    let key = values.given_secret("private_key");
    let key = key.map(|_| with_key(values, None).authentication);
    let certificate = values.given_secret("certificate");
    let certificate = certificate.map(|_| {
        let key = values.signing_key("certificate", Algorithm::Ps256);
        Authentication::PrivateKey(KeySettings {
            has_certificate: true,
            ..key
        })
    });
    let assertion = values
        .given_token("client_assertion")
        .map(Authentication::Assertion);
    let all = [secret, key, certificate, assertion];
    let mut found = all.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(authentication), None) => Ok(client(values, authentication)),
        (None, _) => Err(
            "the client has no credential; set `client_secret`, or another one of the preset"
                .to_owned(),
        ),
        (Some(_), Some(_)) => {
            Err("the client has several credentials; leave one of them".to_owned())
        }
    }
}

fn client(values: &Values, authentication: Authentication) -> ClientSettings {
    ClientSettings {
        id: values.given_text("client_id").map(str::to_owned),
        authentication,
        assertion_audience: None,
    }
}

/// The client credentials grant at this token endpoint.
pub(super) fn client_credentials(endpoint: String, client: ClientSettings) -> Grant {
    let server = Server::TokenEndpoint(endpoint);
    Grant::new(
        "client_credentials",
        GrantKind::ClientCredentials,
        server,
        client,
    )
}

impl From<Grant> for TokenSettings {
    fn from(grant: Grant) -> Self {
        Self::new(TokenFrom::Grant(Box::new(grant)))
    }
}

const ABOUT_ID: &str = "the id that the server has for the client";
const ABOUT_SECRET: &str = "where the client's secret is";
const ABOUT_KEY: &str = "where the client's private key is";
