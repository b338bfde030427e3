//! A JWT that is signed here and is the token, as a profile describes it.

use std::time::Duration;

use serde_json::Map;

use crate::oauth::signed_jwt::SignedJwt;
use crate::profile::key::{Key, Kind};
use crate::profile::schema::client;
use crate::profile::schema::client::KeySettings;
use crate::profile::schema::grant_names::SIGNED_JWT;
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// The key that signs a JWT, and its claims.
#[derive(Clone, Debug)]
pub(crate) struct JwtSettings {
    pub(crate) key: KeySettings,
    pub(crate) claims: Map<String, serde_json::Value>,
    /// Claims whose value is read for each JWT, such as one from a key file.
    pub(crate) secret_claims: Vec<(&'static str, SecretRef)>,
    /// Where the id of the key is, if a key file has it.
    pub(crate) key_id: Option<SecretRef>,
    pub(crate) lifetime: Duration,
    pub(crate) backdate: Duration,
    pub(crate) has_not_before: bool,
    pub(crate) has_id: bool,
    /// Whether the fingerprint of the key follows the issuer, after a dot.
    pub(crate) has_fingerprint: bool,
}

impl JwtSettings {
    pub(crate) fn new(key: KeySettings) -> Self {
        Self {
            key,
            claims: Map::new(),
            secret_claims: Vec::new(),
            key_id: None,
            lifetime: SignedJwt::LIFETIME,
            backdate: Duration::ZERO,
            has_not_before: false,
            has_id: false,
            has_fingerprint: false,
        }
    }

    /// The same with this claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }
}

pub(super) fn read(table: &Table<'_>) -> Read<JwtSettings> {
    let key = client::read_key(table);
    let claims = table.optional("claims", read_claims).unwrap_or_default();
    let lifetime = table.optional("lifetime", Value::seconds);
    let backdate = table.optional("backdate", Value::seconds);
    let flag = |key| table.optional(key, Value::flag).unwrap_or_default();
    let (has_not_before, has_id) = (flag("not_before"), flag("unique_id"));
    let mut settings = JwtSettings {
        claims,
        has_not_before,
        has_id,
        ..JwtSettings::new(key?)
    };
    settings.lifetime = lifetime.unwrap_or(settings.lifetime);
    settings.backdate = backdate.unwrap_or(settings.backdate);
    Ok(settings)
}

fn read_claims(value: &Value<'_>) -> Read<Map<String, serde_json::Value>> {
    let mut claims = Map::new();
    for claim in value.entries()? {
        let name = claim.key;
        if RESERVED.contains(&name) {
            claim.key_error(format!(
                "`{name}` does not belong in `claims`; `lifetime`, `backdate`, `not_before` and `unique_id` set the times and the id"
            ));
        } else if let Ok(value) = claim.json() {
            claims.insert(name.to_owned(), value);
        }
    }
    Ok(claims)
}

const RESERVED: [&str; 4] = ["iat", "exp", "nbf", "jti"];

/// The keys that only a signed JWT has, besides those of its private key.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "claims",
        Kind::Json,
        "the claims of the JWT, such as `iss`, `sub` and `aud`, of any JSON type",
    )
    .default("none")
    .only(&[SIGNED_JWT]),
    Key::new(
        "lifetime",
        Kind::Seconds,
        "how long the JWT is valid from now (`exp`), in seconds",
    )
    .default("300")
    .only(&[SIGNED_JWT]),
    Key::new(
        "backdate",
        Kind::Seconds,
        "how long before now the JWT says that it was issued (`iat`), in seconds",
    )
    .default("none")
    .only(&[SIGNED_JWT]),
    Key::new(
        "not_before",
        Kind::Flag,
        "whether the JWT has the claim `nbf`, the same as `iat`",
    )
    .default("false")
    .only(&[SIGNED_JWT]),
    Key::new(
        "unique_id",
        Kind::Flag,
        "whether the JWT has the claim `jti`, a random text",
    )
    .default("false")
    .only(&[SIGNED_JWT]),
];
