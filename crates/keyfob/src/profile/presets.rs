//! Presets: the tokens of a platform, from a few keys.
//!
//! # How to write a preset
//!
//! 1. Make a file `presets/PLATFORM.rs` with a constant of type [`Preset`], and add the constant to [`ALL`].
//! 2. Declare its keys as data, as every reader of a table does: name, [`Kind`](crate::profile::key::Kind), what it means, and the
//!    default, which is also the value that counts without the key. List the required ones. Unknown keys, missing keys and values
//!    of the wrong kind are reported for you, with line and column, and the JSON Schema has the keys.
//! 3. Write the function `settings`, which makes the settings of a source from the [`Values`](preset::Values): those that the
//!    file would have without the preset. [`HttpSettings`](crate::profile::schema::http::HttpSettings) is an HTTP request that returns a token,
//!    [`JwtSettings`](crate::profile::schema::signed_jwt::JwtSettings) a JWT that is signed here, and
//!    [`Grant`](crate::profile::schema::grant::Grant) a grant. An error of it is a sentence about the table, and quotes no value.
//! 4. A token with which another is fetched is a [link](TokenSettings::link) with a key. It has a cache of its own, and is
//!    renewed only when it is due itself. [`HttpText::token_of`](crate::profile::schema::http::HttpText::token_of) puts its token
//!    into a header or a body, and names it for errors.
//! 5. What the platform sets in the environment is a
//!    [`Piece::Variable`](crate::profile::schema::http::Piece::Variable): it is read for each request, and its hint says that this
//!    is not that platform.
//! 6. The base address is the key `endpoint`, so that tests and sovereign clouds can replace it. Plain http to loopback is always
//!    allowed; a metadata service needs
//!    [`PlainHttpTo::MetadataService`](crate::profile::schema::http::PlainHttpTo::MetadataService).
//! 7. Test it in `tests/profiles/platforms` against the fake of the platform in the test kit, with the TOML of its docs page.

mod api_key;
mod app_store_connect;
mod auth0;
mod azure;
mod client;
mod databricks;
mod entra;
mod epic;
mod gcp_metadata;
mod gcp_service_account;
mod gcp_workload_identity;
mod github;
mod keycloak;
mod kubernetes;
mod okta;
pub(crate) mod preset;
mod salesforce;
mod snowflake;
mod vault;
mod zoom;

use crate::profile::presets::preset::Preset;
use crate::profile::schema::token::ReadPreset;
use crate::profile::table::{Read, Value};

/// All presets.
pub(crate) static ALL: &[&Preset] = &[
    &api_key::API_KEY,
    &app_store_connect::KEY,
    &auth0::M2M,
    &azure::MANAGED_IDENTITY,
    &azure::WORKLOAD_IDENTITY,
    &databricks::M2M,
    &entra::APPLICATION,
    &epic::BACKEND_SERVICES,
    &gcp_metadata::METADATA,
    &gcp_service_account::SERVICE_ACCOUNT,
    &gcp_workload_identity::WORKLOAD_IDENTITY,
    &github::ACTIONS,
    &github::APP,
    &keycloak::SERVICE_ACCOUNT,
    &kubernetes::SERVICE_ACCOUNT,
    &okta::PRIVATE_KEY_JWT,
    &salesforce::JWT,
    &snowflake::KEY_PAIR,
    &vault::APPROLE,
    &vault::KUBERNETES,
    &zoom::SERVER_TO_SERVER,
];

/// Finds the preset that a value names.
pub(super) fn find(name: &Value<'_>) -> Read<&'static dyn ReadPreset> {
    let known = ALL.iter().map(|preset| (preset.table.name, *preset));
    let known: Vec<_> = known.collect();
    let preset = name.one_of("preset", &known)?;
    Ok(preset)
}

#[cfg(all(test, keyfob_repository))]
mod tests {
    use super::*;
    use crate::profile::presets::preset::is_common;

    /// The keys in the table of a section, and whether each is required.
    fn documented_keys(section: &str) -> Vec<(&str, bool)> {
        let rows = section
            .lines()
            .skip_while(|line| !line.starts_with("| key |"))
            .skip(2);
        let rows = rows.take_while(|line| line.starts_with('|'));
        let names = rows.map(|row| row.split('|').nth(1).unwrap_or_default().trim());
        let mut keys: Vec<_> = names
            .map(|name| (name.trim_matches(['[', ']', '`']), !name.starts_with('[')))
            .collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_page_on_platforms_has_each_preset_and_each_key() {
        let page = include_str!("../../../../docs/how-to/platforms.md");
        for preset in ALL {
            let (_, rest) = page
                .split_once(&format!("\n## {}\n", preset.table.name))
                .unwrap_or_else(|| {
                    panic!(
                        "docs/how-to/platforms.md has no section `{}`",
                        preset.table.name
                    )
                });
            let section = rest.split("\n## ").next().unwrap_or(rest);
            let keys = preset.table.iter().filter(|key| !is_common(key));
            let is_required = |name| preset.table.required.contains(&name);
            let mut declared: Vec<_> = keys.map(|key| (key.name, is_required(key.name))).collect();
            declared.sort_unstable();
            assert_eq!(documented_keys(section), declared, "{}", preset.table.name);
        }
    }
}
