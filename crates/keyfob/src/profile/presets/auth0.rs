//! Auth0: a machine-to-machine application.

use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{
    CLIENT_ID, CLIENT_SECRET, KEY_ID, PRIVATE_KEY, any_client, client_credentials,
};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::Authentication;
use crate::profile::schema::token::TokenSettings;

/// <https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow>
pub(super) static M2M: Preset = Preset::new(
    "auth0",
    "An access token of Auth0 for a machine-to-machine application",
    M2M_KEYS,
    &["domain", "client_id"],
    settings,
);

const M2M_KEYS: &[Key] = &[
    Key::new(
        "domain",
        Kind::Text,
        "the domain of the tenant, or its custom domain",
    ),
    CLIENT_ID,
    CLIENT_SECRET,
    PRIVATE_KEY,
    KEY_ID,
    Key::new(
        "audience",
        Kind::Text,
        "the identifier of the API, if it is not the `base_url` with a slash at its end",
    ),
    Key::new(
        "scopes",
        Kind::Texts,
        "permissions, if not all that are granted",
    ),
    Key::new(
        "endpoint",
        Kind::Url,
        "the token endpoint, if it is not `/oauth/token` of the domain",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let domain = values.text("domain");
    if domain.contains('/') {
        return Err(
            "`domain` is a name such as `example.eu.auth0.com`, without `https://`".to_owned(),
        );
    }
    let endpoint = match values.given_text("endpoint") {
        Some(url) => url.to_owned(),
        None => format!("https://{domain}/oauth/token"),
    };
    let audience = match values.given_text("audience") {
        Some(audience) => audience.to_owned(),
        None => values.base_url("audience")?.to_string(),
    };
    let mut grant = client_credentials(endpoint, any_client(values, Authentication::SecretPost)?);
    grant.audience = vec![audience];
    grant.scopes = values.texts("scopes").to_vec();
    grant.advice = &[
        ("401", "check `client_id` and `client_secret`"),
        (
            "access_denied",
            "check that `audience` is the identifier of an API, and that the application is authorized for it",
        ),
        (
            "unauthorized_client",
            "allow the application the grant type `client_credentials`",
        ),
    ];
    Ok(grant.into())
}
