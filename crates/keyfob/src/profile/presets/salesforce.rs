//! Salesforce: a connected app that acts as a user, with the JWT bearer flow.

use std::time::Duration;

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{CLIENT_ID, PRIVATE_KEY};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::{Authentication, ClientSettings};
use crate::profile::schema::grant::{Assertion, Grant, GrantKind, Server};
use crate::profile::schema::token::TokenSettings;

/// <https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm>
pub(super) static JWT: Preset = Preset::new(
    "salesforce_jwt",
    "An access token of Salesforce for a user, with the key of a connected app",
    JWT_KEYS,
    &["client_id", "subject", "private_key"],
    settings,
);

const JWT_KEYS: &[Key] = &[
    CLIENT_ID,
    Key::new("subject", Kind::Text, "the name of the user"),
    PRIVATE_KEY,
    Key::new(
        "assertion_audience",
        Kind::Text,
        "the login server, which is `https://test.salesforce.com` for a sandbox",
    )
    .default("`https://login.salesforce.com`"),
    Key::new(
        "endpoint",
        Kind::Url,
        "the token endpoint, if it is not `/services/oauth2/token` of the server in `base_url`",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let endpoint = values.url_or_path("endpoint", "/services/oauth2/token")?;
    let assertion = Assertion::Signed {
        key: values.signing_key("private_key", Algorithm::Rs256),
        subject: values.given_text("subject").map(str::to_owned),
        audience: Some(values.text("assertion_audience").to_owned()),
    };
    let client = ClientSettings {
        id: values.given_text("client_id").map(str::to_owned),
        authentication: Authentication::None,
        assertion_audience: None,
    };
    let kind = GrantKind::JwtBearer(assertion);
    let mut grant = Grant::new("jwt_bearer", kind, Server::TokenEndpoint(endpoint), client);
    grant.advice = &[
        (
            "invalid_grant",
            "check that the user in `subject` is pre-authorized for the app, that `assertion_audience` is the login server of the org, that `private_key` belongs to the app's certificate, and the clock of this machine",
        ),
        (
            "invalid_app_access",
            "pre-authorize the user in `subject` for the app",
        ),
        (
            "invalid_client_id",
            "check `client_id`, the consumer key of the app",
        ),
    ];
    let mut settings = TokenSettings::from(grant);
    // The response has no lifetime. A token lives as long as a session, two hours by default.
    settings.default_lifetime = Some(Duration::from_secs(2 * 60 * 60));
    Ok(settings)
}
