//! Microsoft Entra: an application in its own name.

use crate::oauth::client_authentication::Audience;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::client::{
    CLIENT_ASSERTION, CLIENT_ID, CLIENT_SECRET, any_client, client_credentials,
};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::client::Authentication;
use crate::profile::schema::token::TokenSettings;

/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
pub(super) static APPLICATION: Preset = Preset::new(
    "entra",
    "An access token of Microsoft Entra for an application in its own name",
    APPLICATION_KEYS,
    &["tenant", "client_id"],
    settings,
);

const APPLICATION_KEYS: &[Key] = &[
    Key::new("tenant", Kind::Text, "the id or a domain of the tenant"),
    CLIENT_ID,
    CLIENT_SECRET,
    Key::new(
        "certificate",
        Kind::Secret,
        "where the certificate of the application and its private key are, in one file",
    ),
    CLIENT_ASSERTION,
    Key::new(
        "scopes",
        Kind::Text,
        "the application id URI of the API and `/.default`, if it is not the server of `base_url`",
    ),
    Key::new(
        "endpoint",
        Kind::Url,
        "the login server, of which a national cloud has its own",
    )
    .default("`https://login.microsoftonline.com`"),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let (host, tenant) = (
        values.text("endpoint").trim_end_matches('/'),
        values.text("tenant"),
    );
    let scope = values.url_or_path("scopes", "/.default")?;
    let mut client = any_client(values, Authentication::SecretPost)?;
    client.assertion_audience = Some(Audience::TokenEndpoint);
    let endpoint = format!("{host}/{tenant}/oauth2/v2.0/token");
    let mut grant = client_credentials(endpoint, client);
    grant.scopes = vec![scope];
    grant.advice = &[
        (
            "AADSTS7000215",
            "check `client_secret`: it is the value of a secret, and not its id",
        ),
        (
            "AADSTS7000222",
            "the secret in `client_secret` has expired: make a new one",
        ),
        (
            "AADSTS700027",
            "register the certificate in `certificate` at the application",
        ),
        (
            "AADSTS700024",
            "check the clock of this machine, and that `client_assertion` has not expired",
        ),
        (
            "AADSTS700211",
            "no federated identity credential has the issuer of `client_assertion`",
        ),
        (
            "AADSTS700212",
            "no federated identity credential has the audience of `client_assertion`",
        ),
        (
            "AADSTS700213",
            "no federated identity credential has the subject of `client_assertion`",
        ),
        ("AADSTS700016", "check `client_id` and `tenant`"),
        ("AADSTS90002", "check `tenant`"),
        (
            "AADSTS1002012",
            "`scopes` is one scope that ends with `/.default`",
        ),
        (
            "AADSTS500011",
            "check that the API in `scopes` is in the tenant",
        ),
    ];
    Ok(grant.into())
}
