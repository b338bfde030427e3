//! Zoom: a Server-to-Server OAuth app.

use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{CLIENT_ID, CLIENT_SECRET, with_secret};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::Authentication;
use crate::profile::schema::grant::{Grant, GrantKind, Server};
use crate::profile::schema::token::TokenSettings;

/// <https://developers.zoom.us/docs/internal-apps/s2s-oauth/>
pub(super) static SERVER_TO_SERVER: Preset = Preset::new(
    "zoom_server_to_server",
    "An access token of Zoom for a Server-to-Server OAuth app",
    SERVER_TO_SERVER_KEYS,
    &["account_id", "client_id", "client_secret"],
    settings,
);

const SERVER_TO_SERVER_KEYS: &[Key] = &[
    Key::new("account_id", Kind::Text, "the id of the account"),
    CLIENT_ID,
    CLIENT_SECRET,
    Key::new("endpoint", Kind::Url, "the token endpoint").default("`https://zoom.us/oauth/token`"),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let kind = GrantKind::Custom {
        grant_type: "account_credentials".to_owned(),
    };
    let server = Server::TokenEndpoint(values.text("endpoint").to_owned());
    let client = with_secret(values, Authentication::SecretBasic);
    let mut grant = Grant::new("custom", kind, server, client);
    let account = (
        "account_id".to_owned(),
        values.text("account_id").to_owned(),
    );
    grant.parameters = vec![account];
    grant.advice = &[
        ("invalid_client", "check `client_id` and `client_secret`"),
        (
            "unsupported_grant_type",
            "the app in `client_id` is no Server-to-Server OAuth app",
        ),
        (
            "invalid_request",
            "check `account_id`, and that the app is activated",
        ),
    ];
    Ok(grant.into())
}
