//! R4 and R6: what is sent again after which status or fault, and what the caller gets at the end.

use crate::case::{Case, Fault};
use crate::corpus::builders::{bytes, expect, fault, ok, request, status, with};
use crate::outcome::ErrorName::{Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for retry_after in [None, Some("0")] {
        for code in STATUSES {
            cases.extend(METHODS.map(|method| after_status(method, code, retry_after)));
        }
    }
    for (name, broken) in FAULTS {
        cases.extend(METHODS.map(|method| after_fault(method, name, broken)));
    }
    cases
}

/// A status, and then a 200 if the request is sent again.
fn after_status(method: &str, code: u16, retry_after: Option<&str>) -> Case {
    let unprocessed = matches!(code, 429 | 503) && retry_after.is_some();
    let again = is_idempotent(method) || unprocessed;
    let after = retry_after.map_or("", |_| " with Retry-After");
    let ending = if again {
        "is sent again"
    } else {
        "is sent once"
    };
    let name = format!("{method} after a {code}{after} {ending}");
    let failed = retry_after
        .into_iter()
        .fold(status(code), |response, after| {
            response.header("retry-after", after)
        });
    let responses = match again {
        true => vec![failed, ok()],
        false => vec![failed.text("no")],
    };
    let expected = match (again, method) {
        (true, _) => expect().ends(200),
        (false, "HEAD") => expect().ends(code),
        (false, _) => expect().ends_with(code, "no"),
    };
    sent(Case::new("retries", "R4", name), method, again)
        .server("a", responses)
        .expect(expected.at("a", arrivals(method, again)).fetches(1))
}

fn after_fault(method: &str, name: &str, broken: Fault) -> Case {
    let again = is_idempotent(method);
    let ending = if again {
        "is sent again"
    } else {
        "is sent once"
    };
    let name = format!("{method} after {name} {ending}");
    let expected = match again {
        true => expect().ends(200),
        false => expect().fails([Transport, Timeout]),
    };
    let responses = [Some(fault(broken)), again.then(ok)];
    sent(Case::new("retries", "R4", name), method, again)
        .server("a", responses.into_iter().flatten())
        .expect(expected.at("a", arrivals(method, again)).fetches(1))
}

fn sent(case: Case, method: &str, _again: bool) -> Case {
    let plain = request(method, "{a}/data");
    case.send(match has_body(method) {
        true => plain.body(bytes("an order")),
        false => plain,
    })
}

fn arrivals(method: &str, again: bool) -> Vec<crate::expectation::Arrival> {
    let arrival = with("token-1", method, "/data");
    let arrival = match has_body(method) {
        true => arrival.whole(),
        false => arrival,
    };
    vec![arrival; if again { 2 } else { 1 }]
}

fn is_idempotent(method: &str) -> bool {
    !matches!(method, "POST" | "PATCH")
}

fn has_body(method: &str) -> bool {
    matches!(method, "POST" | "PATCH" | "PUT")
}

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"];

const STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

const FAULTS: [(&str, Fault); 3] = [
    ("a reset", Fault::Reset),
    ("a closed connection", Fault::Close),
    ("bytes that are not HTTP", Fault::Garbage),
];
