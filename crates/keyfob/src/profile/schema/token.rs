//! Where a profile's token comes from: a place that already has it, or an OAuth 2.0 grant.

use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::profile::header_placement::HeaderPlacement;
use crate::profile::schema::grant;
use crate::profile::schema::grant::Grant;
use crate::profile::secret_ref::SecretRef;
use crate::profile::table::{Table, Value};

/// The token of a profile.
#[derive(Debug)]
pub(crate) struct TokenSettings {
    pub(crate) from: TokenFrom,
    /// Where in a request the token goes; `None` for `Authorization: Bearer`.
    pub(crate) placement: Option<HeaderPlacement>,
    pub(crate) fetch_timeout: Option<Duration>,
    pub(crate) default_lifetime: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum TokenFrom {
    /// A command, a variable, a file or the keyring.
    Secret(SecretRef),
    Grant(Box<Grant>),
}

/// Reads `token = "env:NAME"`, or the table `[profiles.name.token]`.
pub(super) fn read(value: Value<'_>, base_url: Option<&Url>) -> Option<TokenSettings> {
    if !value.is_table() {
        return Some(TokenSettings::new(TokenFrom::Secret(value.secret()?)));
    }
    let table = value.table()?;
    let settings = read_table(&table, base_url);
    table.finish(&grant::KEYS);
    settings
}

fn read_table(table: &Table<'_>, base_url: Option<&Url>) -> Option<TokenSettings> {
    let fetch_timeout = table.get("fetch_timeout").and_then(Value::seconds);
    let default_lifetime = table.get("default_lifetime").and_then(Value::seconds);
    let mut placement = None;
    let from = match (table.get("source"), table.get("grant")) {
        (Some(source), None) => {
            placement = read_placement(table);
            TokenFrom::Secret(source.secret()?)
        }
        (None, Some(name)) => TokenFrom::Grant(Box::new(grant::read(table, name, base_url)?)),
        (Some(_), Some(grant)) => {
            grant.key_error("`source` and `grant` exclude each other; leave one of them out");
            return None;
        }
        (None, None) => {
            table.error(
                "the token has no source; set `source`, such as \"command:gh auth token\", or `grant`, \
                 such as \"client_credentials\"",
            );
            return None;
        }
    };
    Some(TokenSettings {
        placement,
        fetch_timeout,
        default_lifetime,
        ..TokenSettings::new(from)
    })
}

fn read_placement(table: &Table<'_>) -> Option<HeaderPlacement> {
    match (table.get("header"), table.get("scheme")) {
        (None, None) => None,
        (Some(header), None) => header_name(header).map(HeaderPlacement::Header),
        (None, Some(value)) => {
            let scheme = value.clone().text()?;
            header_name(value).map(|_| HeaderPlacement::Scheme(scheme.to_owned()))
        }
        (Some(_), Some(scheme)) => {
            scheme.key_error("`header` and `scheme` exclude each other; leave one of them out");
            None
        }
    }
}

/// Reads a header name. A scheme has the same characters (a token, RFC 9110 §5.6.2).
fn header_name(value: Value<'_>) -> Option<HeaderName> {
    let name = HeaderName::try_from(value.clone().text()?).ok();
    if name.is_none() {
        value.error(format!(
            "`{}` has a character that is not allowed; give a name such as \"x-api-key\"",
            value.key
        ));
    }
    name
}

impl TokenSettings {
    /// The secrets that a grant needs, each with its key in the file. A token that is read from a place is not among them.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        self.grant().map(Grant::secrets).unwrap_or_default()
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.from {
            TokenFrom::Secret(_) => None,
            TokenFrom::Grant(grant) => Some(grant),
        }
    }

    fn new(from: TokenFrom) -> Self {
        Self {
            from,
            placement: None,
            fetch_timeout: None,
            default_lifetime: None,
        }
    }
}
