//! Snowflake: a JWT that is signed with the key of a user.

use std::time::Duration;

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>
pub(super) static KEY_PAIR: Preset = Preset::new(
    "snowflake_key_pair",
    "A JWT for Snowflake's APIs, signed with the key of a user",
    KEY_PAIR_KEYS,
    &["user", "private_key"],
    settings,
);

const KEY_PAIR_KEYS: &[Key] = &[
    Key::new("user", Kind::Text, "the name of the user"),
    Key::new(
        "private_key",
        Kind::Secret,
        "where the RSA key of the user is",
    ),
    Key::new(
        "private_key_passphrase",
        Kind::Secret,
        "where the passphrase of that key is, if it is encrypted",
    ),
    Key::new(
        "account",
        Kind::Text,
        "the account identifier, if it is not the first part of the host of `base_url`",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let account = match values.given_text("account") {
        Some(account) => account,
        None => account_of(values.base_url("account")?.host_str().unwrap_or_default())?,
    };
    // In a JWT, a period separates the account from the user.
    let account = account.replace('.', "-");
    let name = format!("{account}.{}", values.text("user")).to_uppercase();
    let mut key = values.signing_key("private_key", Algorithm::Rs256);
    key.passphrase = values.given_secret("private_key_passphrase");
    let mut jwt = JwtSettings::new(key)
        .claim("iss", name.as_str())
        .claim("sub", name.as_str());
    jwt.has_fingerprint = true;
    // Snowflake accepts no JWT that is older than an hour.
    jwt.lifetime = Duration::from_secs(59 * 60);
    Ok(TokenSettings::new(TokenFrom::SignedJwt(Box::new(jwt))).called("the JWT for Snowflake"))
}

fn account_of(host: &str) -> Result<&str, String> {
    match host.split_once('.') {
        Some((account, domain)) if domain.contains("snowflakecomputing.") => Ok(account),
        _ => Err("`account` is missing, and `base_url` is not `https://ACCOUNT.snowflakecomputing.com/`, from which it follows".to_owned()),
    }
}
