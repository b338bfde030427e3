//! Okta: an API service app with a key.

use crate::oauth::client_authentication::Audience;
use crate::profile::dpop_key::DpopKey;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{
    CLIENT_ID, KEY_ID, PRIVATE_KEY, client_credentials, with_key,
};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::token::TokenSettings;

/// <https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/>
pub(super) static PRIVATE_KEY_JWT: Preset = Preset::new(
    "okta_private_key_jwt",
    "An access token of Okta for an API service app with a key",
    PRIVATE_KEY_JWT_KEYS,
    &["client_id", "private_key", "scopes"],
    settings,
);

const PRIVATE_KEY_JWT_KEYS: &[Key] = &[
    CLIENT_ID,
    PRIVATE_KEY,
    KEY_ID,
    Key::new("scopes", Kind::Texts, "scopes that are granted to the app"),
    Key::new(
        "dpop_key",
        Kind::Secret,
        "where the key is that tokens are bound to, if the app demands it",
    ),
    Key::new(
        "endpoint",
        Kind::Url,
        "the token endpoint, if it is not `/oauth2/v1/token` of the server in `base_url`",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let endpoint = values.url_or_path("endpoint", "/oauth2/v1/token")?;
    let mut client = with_key(values, None);
    client.assertion_audience = Some(Audience::TokenEndpoint);
    let mut grant = client_credentials(endpoint, client);
    grant.scopes = values.texts("scopes").to_vec();
    grant.dpop_key = values
        .given_secret("dpop_key")
        .map(|secret| DpopKey::new(secret, None));
    grant.advice = &[
        (
            "invalid_client",
            "check `client_id`, that `private_key` and `key_id` are registered at the app, and the clock of this machine",
        ),
        (
            "invalid_dpop_proof",
            "the app demands bound tokens: set `dpop_key`, or turn that off at the app",
        ),
        ("invalid_scope", "grant the app these `scopes`"),
    ];
    Ok(grant.into())
}
