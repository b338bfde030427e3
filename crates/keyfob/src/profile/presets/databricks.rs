//! Databricks: a service principal with an OAuth secret.

use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{CLIENT_ID, CLIENT_SECRET, client_credentials, with_secret};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::Authentication;
use crate::profile::schema::token::TokenSettings;

/// <https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m>
pub(super) static M2M: Preset = Preset::new(
    "databricks_m2m",
    "An access token of a Databricks service principal with an OAuth secret",
    M2M_KEYS,
    &["client_id", "client_secret"],
    settings,
);

const M2M_KEYS: &[Key] = &[
    CLIENT_ID,
    CLIENT_SECRET,
    Key::new("scopes", Kind::Texts, "the scopes of the token").default("`all-apis`"),
    Key::new(
        "endpoint",
        Kind::Url,
        "the token endpoint, if it is not `/oidc/v1/token` of the workspace in `base_url`",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let endpoint = values.url_or_path("endpoint", "/oidc/v1/token")?;
    let client = with_secret(values, Authentication::SecretBasic);
    let mut grant = client_credentials(endpoint, client);
    grant.scopes = match values.texts("scopes") {
        [] => vec![values.text("scopes").to_owned()],
        scopes => scopes.to_vec(),
    };
    grant.advice = &[
        (
            "invalid_client",
            "check `client_id` and `client_secret`, that the secret has not expired, and that the principal is in the workspace",
        ),
        ("invalid_scope", "check `scopes`"),
    ];
    Ok(grant.into())
}
