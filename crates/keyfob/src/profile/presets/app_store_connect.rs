//! App Store Connect: a JWT that is signed with a key of a team or of a person.

use std::time::Duration;

use crate::oauth::signing_key::key_pair::Algorithm;
use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::signed_jwt::JwtSettings;
use crate::profile::schema::token::{TokenFrom, TokenSettings};

/// <https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests>
pub(super) static KEY: Preset = Preset::new(
    "app_store_connect",
    "A JWT for Apple's App Store Connect API, signed with a team key or an individual key",
    KEY_KEYS,
    &["key_id", "private_key"],
    settings,
);

const KEY_KEYS: &[Key] = &[
    Key::new(
        "issuer_id",
        Kind::Text,
        "the issuer id of the team. An individual key has none",
    ),
    Key::new("key_id", Kind::Text, "the id of the key"),
    Key::new(
        "private_key",
        Kind::Secret,
        "where the key is, which is the file that Apple hands out",
    ),
];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let mut key = values.signing_key("private_key", Algorithm::Es256);
    key.id = values.given_text("key_id").map(str::to_owned);
    let jwt = JwtSettings::new(key).claim("aud", "appstoreconnect-v1");
    let mut jwt = match values.given_text("issuer_id") {
        Some(issuer) => jwt.claim("iss", issuer),
        None => jwt.claim("sub", "user"),
    };
    // At most 20 minutes, of which one is for a clock that is ahead of Apple's.
    jwt.lifetime = Duration::from_secs(18 * 60);
    jwt.backdate = Duration::from_secs(60);
    Ok(TokenSettings::new(TokenFrom::SignedJwt(Box::new(jwt)))
        .called("the JWT for App Store Connect"))
}
