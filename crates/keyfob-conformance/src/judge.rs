//! Compares what came of a case with what must come of it.

use std::collections::BTreeMap;

use keyfob_testkit::{Received, checksum};

use crate::case::{Body, Case};
use crate::expectation::{Arrival, Arrivals, ArrivedBody, Ending, Expectation};
use crate::outcome::{CallerGot, Outcome};

#[cfg(test)]
mod tests;

/// Where a case and its outcome differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// A token is where none may be. No exception excuses that.
    pub leaks: Vec<String>,
    /// All other differences.
    pub others: Vec<String>,
}

/// What the servers received, by name.
pub type Arrived = BTreeMap<String, Vec<Received>>;

/// Compares with the expectation that fits best.
#[must_use]
pub fn judge(case: &Case, arrived: &Arrived, outcome: &Outcome) -> Differences {
    let compared = case.expect.iter().map(|expected| {
        let mut differences = Differences::default();
        for (server, received) in arrived {
            compare_server(case, expected, server, received, &mut differences);
        }
        compare_caller(expected, outcome, &mut differences);
        differences
    });
    let best = compared.min_by_key(|found| (found.leaks.len(), found.others.len()));
    best.unwrap_or_else(|| Differences {
        leaks: Vec::new(),
        others: vec!["the case expects nothing".to_owned()],
    })
}

impl Differences {
    /// The driver failed. No exception excuses that either.
    #[must_use]
    pub fn no_outcome(error: String) -> Self {
        Self {
            leaks: vec![error],
            others: Vec::new(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaks.is_empty() && self.others.is_empty()
    }

    /// One line for each difference.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.leaks.iter().chain(&self.others).map(String::as_str)
    }
}

fn compare_server(
    case: &Case,
    expected: &Expectation,
    server: &str,
    received: &[Received],
    found: &mut Differences,
) {
    let arrivals = match expected.at.get(server) {
        Some(Arrivals::Anything) => return,
        Some(Arrivals::AtMost(most)) => {
            let (got, most) = (received.len(), *most);
            let more = (got > most)
                .then(|| format!("{server} received {got} requests, and not {most} or fewer"));
            found.others.extend(more);
            return;
        }
        Some(Arrivals::WithoutToken) => {
            let with = received.iter().filter(|request| holds_a_token(request));
            found
                .leaks
                .extend(with.map(|request| format!("{server} got a token: {}", head(request))));
            return;
        }
        Some(Arrivals::These(arrivals)) => arrivals.as_slice(),
        None => &[],
    };
    if arrivals.len() != received.len() {
        let heads: Vec<_> = received.iter().map(head).collect();
        found.others.push(format!(
            "{server} received {} requests and not {}: {}",
            received.len(),
            arrivals.len(),
            heads.join(", ")
        ));
    }
    for (number, request) in received.iter().enumerate() {
        match arrivals.get(number) {
            Some(arrival) => {
                let place = format!("{server}, request {}", number + 1);
                compare_arrival(case, arrival, request, &place, found);
            }
            None if holds_a_token(request) && !expected.may_have_a_token(server) => {
                found
                    .leaks
                    .push(format!("{server} got a token: {}", head(request)));
            }
            None => {}
        }
    }
}

fn compare_arrival(
    case: &Case,
    expected: &Arrival,
    request: &Received,
    place: &str,
    found: &mut Differences,
) {
    let mut differ = |what: &str, expected: &str, got: &str| {
        if expected != got {
            found.others.push(format!(
                "{place}: the {what} is {got:?} and not {expected:?}"
            ));
        }
    };
    differ("method", &expected.method, request.method.as_str());
    differ("path", &expected.path, &path(request));
    if let Some(target) = &expected.target {
        differ(
            "target",
            target,
            request.authority.as_deref().unwrap_or_default(),
        );
    }
    for (name, value) in &expected.headers {
        let none = "(none)".to_owned();
        differ(
            name,
            value.as_ref().unwrap_or(&none),
            &field(request, name).unwrap_or_else(|| none.clone()),
        );
    }
    match &expected.token {
        Some(token) => {
            let name = case.client.header.as_deref().unwrap_or("authorization");
            let wanted = match case.client.header {
                Some(_) => token.clone(),
                None => format!("Bearer {token}"),
            };
            differ(name, &wanted, &field(request, name).unwrap_or_default());
        }
        None if holds_a_token(request) => {
            found
                .leaks
                .push(format!("{place}: it has a token: {}", head(request)));
        }
        None => {}
    }
    found
        .others
        .extend(body_difference(case, &expected.body, request, place));
}

fn body_difference(
    case: &Case,
    expected: &ArrivedBody,
    request: &Received,
    place: &str,
) -> Option<String> {
    let length = request.body_length;
    match expected {
        ArrivedBody::Anything => None,
        ArrivedBody::None => {
            (length > 0).then(|| format!("{place}: it has a body of {length} bytes"))
        }
        ArrivedBody::Whole(index) => match (&case.requests[*index].body, &request.body) {
            (Body::Multipart { fields }, body) => {
                let body = String::from_utf8_lossy(body);
                let missing = fields.iter().find(|(name, text)| {
                    !body.contains(&format!("name=\"{name}\"")) || !body.contains(text.as_str())
                });
                missing.map(|(name, _)| format!("{place}: the body has no field {name}"))
            }
            (body, _) => {
                let content = body.content().unwrap_or_default();
                let whole = checksum([content.as_bytes()]) == request.checksum;
                (!whole).then(|| {
                    let expected = content.len();
                    format!("{place}: the body of {length} bytes is not that of {expected} bytes")
                })
            }
        },
    }
}

fn compare_caller(expected: &Expectation, outcome: &Outcome, found: &mut Differences) {
    for (number, got) in outcome.results.iter().enumerate() {
        if got.text.as_deref().is_some_and(|text| text.contains(TOKEN)) {
            found
                .leaks
                .push(format!("the error shows a token: {:?}", got.text));
        }
        let ending = expected.caller.get(number).unwrap_or(&Ending::Anything);
        found.others.extend(ending_difference(ending, got));
    }
    if outcome.results.len() < expected.caller.len() {
        found.others.push(format!(
            "the driver has {} results and not {}",
            outcome.results.len(),
            expected.caller.len()
        ));
    }
    if let (Some(expected), Some(got)) = (expected.fetches, outcome.fetches)
        && expected != got
    {
        found.others.push(format!(
            "the source was called {got} times and not {expected}"
        ));
    }
}

fn ending_difference(expected: &Ending, got: &CallerGot) -> Option<String> {
    match expected {
        Ending::Anything => None,
        Ending::Error(kinds) => {
            let fits = got.error.is_some_and(|error| kinds.contains(&error));
            (!fits).then(|| format!("the caller got {} and not the error {kinds:?}", brief(got)))
        }
        Ending::Response {
            status,
            body,
            headers,
        } => {
            let fits = got.error.is_none() && got.status == Some(*status);
            if !fits {
                return Some(format!("the caller got {} and not a {status}", brief(got)));
            }
            if body.is_some() && *body != got.body {
                return Some(format!(
                    "the caller got the body {:?} and not {body:?}",
                    got.body
                ));
            }
            let missing = headers
                .iter()
                .find(|header| !got.headers.contains(header))?;
            Some(format!(
                "the caller got no field {}: {}",
                missing.0, missing.1
            ))
        }
    }
}

fn brief(got: &CallerGot) -> String {
    let status = got.status.map(|status| format!("a {status}"));
    let error = got.error.map(|error| {
        let text = got.text.as_deref().unwrap_or_default();
        format!("the error {error:?} ({text})")
    });
    match (status, error) {
        (None, None) => "nothing".to_owned(),
        (status, error) => [status, error]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" and "),
    }
}

/// Whether any part of the head holds a token.
fn holds_a_token(request: &Received) -> bool {
    let fields = request.headers.values();
    path(request).contains(TOKEN)
        || fields
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .any(|value| value.contains(TOKEN))
}

fn head(request: &Received) -> String {
    let headers: Vec<_> = request
        .headers
        .iter()
        .filter(|(_, value)| String::from_utf8_lossy(value.as_bytes()).contains(TOKEN))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    format!("{} {} {headers:?}", request.method, path(request))
}

fn path(request: &Received) -> String {
    match &request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.clone(),
    }
}

/// All values of a field, joined.
fn field(request: &Received, name: &str) -> Option<String> {
    let values = request.headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// What every token begins with.
const TOKEN: &str = "token-";
