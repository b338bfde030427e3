//! Where in a request a token goes: `header` and `scheme`.

use ::http::HeaderName;

use crate::profile::key::{Key, Kind};
use crate::profile::table::{Read, Table, Value};
use crate::source::placed::Placement;

pub(super) fn read_placement(table: &Table<'_>) -> Read<Option<Placement>> {
    // A token that is bound to a key has the scheme `DPoP` (RFC 9449 §7.1).
    if table.has("dpop_key") {
        return Ok(None);
    }
    Ok(match table.at_most_one("header", "scheme")? {
        (Some(header), _) => Some(Placement::header(header_name(&header)?)),
        (_, Some(scheme)) => {
            let placement = Placement::scheme(scheme.text()?);
            Some(placement.map_err(|error| scheme.error(format!("`scheme`: {error}")))?)
        }
        (None, None) => None,
    })
}

fn header_name(value: &Value<'_>) -> Read<HeaderName> {
    HeaderName::try_from(value.text()?).map_err(|_| {
        value.error(format!(
            "`{}` has a character that is not allowed; give a name such as \"x-api-key\"",
            value.key
        ))
    })
}

/// The keys that say where in a request a token goes. Presets have them too.
pub(in crate::profile) const PLACEMENT_KEYS: &[Key] = &[
    Key::new(
        "header",
        Kind::Name,
        "the header that carries the token without a scheme, instead of `Authorization`",
    )
    .default("none"),
    Key::new(
        "scheme",
        Kind::Name,
        "the word before the token in `Authorization`; not with `header`",
    )
    .default("Bearer"),
];
