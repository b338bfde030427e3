//! Epic: a backend app at a FHIR server.

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{CLIENT_ID, KEY_ID, PRIVATE_KEY, with_key};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::token::TokenSettings;

/// <https://fhir.epic.com/Documentation?docId=oauth2>
pub(super) static BACKEND_SERVICES: Preset = Preset::new(
    "epic_backend_services",
    "An access token for a backend app at an Epic FHIR server",
    BACKEND_SERVICES_KEYS,
    &["client_id", "private_key"],
    settings,
);

const BACKEND_SERVICES_KEYS: &[Key] = &[
    CLIENT_ID,
    PRIVATE_KEY,
    KEY_ID,
    Key::new("scopes", Kind::Texts, "scopes, if not those of the app"),
    Key::new(
        "endpoint",
        Kind::Url,
        "the base URL of the FHIR server, if it is not `base_url`",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let server = match values.given_text("endpoint") {
        Some(url) => url.to_owned(),
        // SMART writes a FHIR base URL without the slash that a profile's base URL ends with.
        None => values
            .base_url("endpoint")?
            .as_str()
            .trim_end_matches('/')
            .to_owned(),
    };
    let client = with_key(values, Some(Algorithm::Rs384));
    let kind = GrantKind::SmartBackendServices;
    let mut grant = Grant::new("smart_backend_services", kind, Server::Fhir(server), client);
    grant.scopes = values.texts("scopes").to_vec();
    grant.advice = &[(
        "invalid_client",
        "Epic gives no reason: check that `client_id` is that of this environment, that the public key of `private_key` is uploaded and in effect, and the clock of this machine",
    )];
    Ok(grant.into())
}
