//! Where a profile's token comes from: a place that already has it, or an OAuth 2.0 grant.

use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::profile::schema::grant;
use crate::profile::schema::grant::Grant;
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Read, Table, Value};

/// The token of a profile.
#[derive(Clone, Debug)]
pub(crate) struct TokenSettings {
    pub(crate) from: TokenFrom,
    /// Where in a request the token goes; `None` for `Authorization: Bearer`.
    pub(crate) placement: Option<HeaderPlacement>,
    pub(crate) fetch_timeout: Option<Duration>,
    pub(crate) default_lifetime: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(crate) enum TokenFrom {
    /// A command, a variable, a file or the keyring.
    Secret(SecretRef),
    Grant(Box<Grant>),
}

/// Where in a request a token goes.
#[derive(Clone, Debug)]
pub(crate) enum HeaderPlacement {
    /// Alone, in the header of this name.
    Header(HeaderName),
    /// In `Authorization`, under this scheme.
    Scheme(String),
}

/// Reads `token = "env:NAME"`, or the table `[profiles.name.token]`.
pub(super) fn read(value: &Value<'_>, base_url: Option<&Url>) -> Read<TokenSettings> {
    if value.is_table() {
        return value.table(&grant::KEYS, |table| read_table(table, base_url));
    }
    Ok(TokenSettings {
        from: TokenFrom::Secret(value.secret()?),
        placement: None,
        fetch_timeout: None,
        default_lifetime: None,
    })
}

fn read_table(table: &Table<'_>, base_url: Option<&Url>) -> Read<TokenSettings> {
    let fetch_timeout = table.optional("fetch_timeout", Value::seconds);
    let default_lifetime = table.optional("default_lifetime", Value::seconds);
    let (from, placement) = match table.at_most_one("source", "grant")? {
        // Only a source has a placement: for a grant, the token response says how the token is sent (RFC 6749 §7.1).
        (Some(source), _) => {
            let placement = read_placement(table);
            (TokenFrom::Secret(source.secret()?), placement?)
        }
        (_, Some(name)) => {
            let grant = grant::read(table, &name, base_url)?;
            (TokenFrom::Grant(Box::new(grant)), None)
        }
        (None, None) => {
            return Err(table.error(
                "the token has no source; set `source`, such as \"command:gh auth token\", or `grant`, \
                 such as \"client_credentials\"",
            ));
        }
    };
    Ok(TokenSettings {
        from,
        placement,
        fetch_timeout,
        default_lifetime,
    })
}

fn read_placement(table: &Table<'_>) -> Read<Option<HeaderPlacement>> {
    Ok(match table.at_most_one("header", "scheme")? {
        (Some(header), _) => Some(HeaderPlacement::Header(header_name(&header)?)),
        (_, Some(scheme)) => {
            // A scheme has the same characters as a header name (a token, RFC 9110 §5.6.2).
            header_name(&scheme)?;
            Some(HeaderPlacement::Scheme(scheme.text()?))
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

impl TokenSettings {
    /// True if a token without an expiry may be stored: the server rejects it in time, or the file has a default lifetime.
    pub(crate) fn knows_when_tokens_expire(&self) -> bool {
        self.grant().is_some() || self.default_lifetime.is_some()
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.from {
            TokenFrom::Secret(_) => None,
            TokenFrom::Grant(grant) => Some(grant),
        }
    }
}
