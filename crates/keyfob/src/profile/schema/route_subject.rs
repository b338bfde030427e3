//! Whose token the requests of each client carry, on a route of a proxy with a token for each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use http::HeaderName;

use crate::profile::key::{Key, Kind, TableKeys};
use crate::profile::table::{Read, Table, Value};

/// Whose token the requests of a client carry.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteSubject {
    /// That of this subject.
    Subject(String),
    /// That of the subject in this header field of each request. The client is trusted to name it.
    Header(HeaderName),
}

/// How many tokens the pool of a route keeps, and for how long. A limit that is `None` is the default of the pool.
///
/// [`Profiles`](crate::Profiles) reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoutePool {
    /// How many subjects have a token at once, as [`max_entries`](crate::pool::TokenPoolBuilder::max_entries).
    pub max_entries: Option<u32>,
    /// How long a token that no request uses is kept, as [`idle_timeout`](crate::pool::TokenPoolBuilder::idle_timeout).
    pub idle_timeout: Option<Duration>,
}

/// Names of clients, each with its place in the file.
type Clients = Vec<(String, Range<usize>)>;

/// The clients that have a subject, and their subjects.
pub(super) fn read_subjects(value: &Value<'_>) -> Read<(Clients, BTreeMap<String, RouteSubject>)> {
    let entries = value.entries()?.map(|entry| {
        let client = entry.key.to_owned();
        let subject = read_subject(&entry)?;
        Ok(((client.clone(), entry.key_place()), (client, subject)))
    });
    // All are read before the first error ends this, so that each wrong one is reported.
    let entries: Vec<Read<_>> = entries.collect();
    let entries: Vec<_> = entries.into_iter().collect::<Read<_>>()?;
    Ok(entries.into_iter().unzip())
}

/// Reads the text of a subject, or `header:` and the name of the field that names it.
fn read_subject(value: &Value<'_>) -> Read<RouteSubject> {
    let text = value.text()?;
    if let Some(header) = text.strip_prefix("header:") {
        let header = header.parse().map(RouteSubject::Header);
        return header.map_err(|_| {
            value.error("the header has a character that is not allowed; give one such as \"header:X-Subject\"")
        });
    }
    match text.trim().is_empty() || text.contains(char::is_control) {
        true => Err(value
            .error("a subject is empty or has a control character; name the user that is meant")),
        false => Ok(RouteSubject::Subject(text)),
    }
}

/// Reads the limits of the pool of a route, which has one only if it has `subjects`.
pub(super) fn read_pool(value: &Value<'_>, has_subjects: bool) -> Read<RoutePool> {
    if !has_subjects {
        return Err(value.error(
            "the route has no `subjects`, and so no pool of their tokens; add them, or leave `pool` out",
        ));
    }
    value.table(&POOL, |table: &Table<'_>| {
        Ok(RoutePool {
            max_entries: table.optional("max_entries", |value| value.number(1..=MOST_ENTRIES)),
            idle_timeout: table.optional("idle_timeout", Value::seconds),
        })
    })
}

const MOST_ENTRIES: u32 = 10_000_000;

/// The table `[proxy.routes.name.pool]`.
pub(in crate::profile) static POOL: TableKeys = TableKeys::new(
    "proxy_route_pool",
    "How many tokens of `subjects` the route keeps",
    &[POOL_KEYS],
);

const POOL_KEYS: &[Key] = &[
    Key::new(
        "max_entries",
        Kind::Number(1, MOST_ENTRIES),
        "how many subjects have a token at once",
    )
    .default("10000"),
    Key::new(
        "idle_timeout",
        Kind::Seconds,
        "how long a token that no request uses is kept, in seconds",
    )
    .default("3600"),
];
