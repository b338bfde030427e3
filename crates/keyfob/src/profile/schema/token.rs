//! Where a profile's token comes from: a place where somebody else keeps it, or a grant of an OAuth 2.0 server.

use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::profile::header_placement::Field;
use crate::profile::schema::grant;
use crate::profile::schema::grant::Grant;
use crate::profile::secret_ref::Reference;
use crate::profile::table::{Table, Value};

/// The token of a profile.
#[derive(Debug)]
pub(crate) struct TokenChoice {
    pub(crate) from: From,
    /// Where the token goes, if not into `Authorization: Bearer`.
    pub(crate) field: Option<Field>,
    pub(crate) fetch_timeout: Option<Duration>,
    pub(crate) default_lifetime: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum From {
    Place(Reference),
    Grant(Box<Grant>),
}

/// Reads `token = "env:NAME"`, or the table `[profiles.name.token]`.
pub(super) fn read(value: Value<'_>, base_url: Option<&Url>) -> Option<TokenChoice> {
    if !value.is_table() {
        return Some(TokenChoice::of(From::Place(value.secret()?)));
    }
    let table = value.table()?;
    let choice = read_table(&table, base_url);
    table.close(&grant::KEYS);
    choice
}

fn read_table(table: &Table<'_>, base_url: Option<&Url>) -> Option<TokenChoice> {
    let fetch_timeout = table.get("fetch_timeout").and_then(Value::seconds);
    let default_lifetime = table.get("default_lifetime").and_then(Value::seconds);
    let mut field = None;
    let from = match (table.get("source"), table.get("grant")) {
        (Some(source), None) => {
            field = read_field(table);
            From::Place(source.secret()?)
        }
        (None, Some(named)) => From::Grant(Box::new(grant::read(table, named, base_url)?)),
        (Some(_), Some(grant)) => {
            grant.fault_of_key("`source` and `grant` exclude each other; leave one of them out");
            return None;
        }
        (None, None) => {
            table.fault(
                "the token has no origin; set `source`, such as \"command:gh auth token\", or `grant`, \
                 such as \"client_credentials\"",
            );
            return None;
        }
    };
    Some(TokenChoice {
        field,
        fetch_timeout,
        default_lifetime,
        ..TokenChoice::of(from)
    })
}

fn read_field(table: &Table<'_>) -> Option<Field> {
    let (header, scheme) = (table.get("header"), table.get("scheme"));
    if header.is_some()
        && let Some(scheme) = scheme
    {
        scheme.fault_of_key("`header` and `scheme` exclude each other; leave one of them out");
        return None;
    }
    match (header, scheme) {
        (Some(value), _) => word(value).map(Field::Header),
        (None, Some(value)) => {
            let scheme = value.clone().text()?;
            word(value).map(|_| Field::Scheme(scheme.to_owned()))
        }
        (None, None) => None,
    }
}

/// A word as HTTP has them in names of fields and schemes (RFC 9110 §5.6.2).
fn word(value: Value<'_>) -> Option<HeaderName> {
    let name = HeaderName::try_from(value.clone().text()?).ok();
    if name.is_none() {
        value.fault(format!(
            "`{}` has a character that it may not have; give a word such as \"x-api-key\"",
            value.key
        ));
    }
    name
}

impl TokenChoice {
    /// The secrets that are needed to get the token, with the keys that name them. A token that is kept is none of them.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, &Reference)> {
        self.grant().map(Grant::secrets).unwrap_or_default()
    }

    pub(crate) fn grant(&self) -> Option<&Grant> {
        match &self.from {
            From::Place(_) => None,
            From::Grant(grant) => Some(grant),
        }
    }

    fn of(from: From) -> Self {
        Self {
            from,
            field: None,
            fetch_timeout: None,
            default_lifetime: None,
        }
    }
}
