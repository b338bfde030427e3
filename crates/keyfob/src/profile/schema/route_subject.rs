//! Whose token the requests of each client carry, on a route of a proxy with a token for each.

use std::collections::BTreeMap;
use std::ops::Range;

use http::HeaderName;

use crate::profile::table::{Read, Value};

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
