//! An API key in a header of its own.

use http::HeaderName;

use crate::profile::key::{Key, Kind};
use crate::profile::presets::preset::{Preset, Values};
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::source::placed::Placement;

pub(super) static API_KEY: Preset = Preset::new(
    "api_key",
    "A key of an API, in a header",
    KEYS,
    &["key"],
    settings,
);

const KEYS: &[Key] = &[Key::new(
    "key",
    Kind::Secret,
    "reference to the key; it is sent in `x-api-key`, unless `header` or `scheme` says otherwise",
)];

fn settings(values: &Values) -> Result<TokenSettings, String> {
    let mut settings = TokenSettings::new(TokenFrom::Secret(values.secret("key")));
    // The keys `header` and `scheme` take precedence.
    settings.placement = Some(Placement::header(HeaderName::from_static("x-api-key")));
    Ok(settings)
}
