//! Keycloak: a client with a service account.

use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{
    CLIENT_ASSERTION, CLIENT_ID, CLIENT_SECRET, KEY_ID, PRIVATE_KEY, any_client,
};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::Authentication;
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::token::TokenSettings;

/// <https://www.keycloak.org/docs/latest/server_admin/#_service_accounts>
pub(super) static SERVICE_ACCOUNT: Preset = Preset::new(
    "keycloak",
    "An access token of Keycloak for the service account of a client",
    SERVICE_ACCOUNT_KEYS,
    &["issuer"],
    settings,
);

const SERVICE_ACCOUNT_KEYS: &[Key] = &[
    Key::new(
        "issuer",
        Kind::Url,
        "the URL of the realm, such as `https://HOST/realms/REALM`",
    ),
    CLIENT_ID,
    CLIENT_SECRET,
    PRIVATE_KEY,
    KEY_ID,
    CLIENT_ASSERTION,
    Key::new("scopes", Kind::Texts, "scopes of the client"),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let client = any_client(values, Authentication::SecretBasic)?;
    let issuer = Server::Issuer(values.text("issuer").to_owned());
    let mut grant = Grant::new(
        "client_credentials",
        GrantKind::ClientCredentials,
        issuer,
        client,
    );
    grant.scopes = values.texts("scopes").to_vec();
    grant.advice = &[
        (
            "unauthorized_client",
            "check the credential of the client, and that its service account is turned on",
        ),
        (
            "invalid_client",
            "check `client_id`, and for a JWT that its audience is the realm, that its subject is registered at the client, and that it has not expired",
        ),
        ("invalid_scope", "check `scopes`"),
    ];
    Ok(grant.into())
}
