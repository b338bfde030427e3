//! R4: the statuses and faults after which a request is sent again.

use crate::case::{Case, Fault, Request, Response};
use crate::corpus::builders::{bytes, expect, fault, ok, request, status, with};
use crate::expectation::Arrival;
use crate::outcome::ErrorName::{Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in METHODS {
        for code in STATUSES {
            cases.push(after_status(method, code, None));
            cases.push(after_status(method, code, Some("0")));
        }
        cases.extend(FAULTS.map(|(name, broken)| after_fault(method, name, broken)));
        cases.push(after_404(method));
        cases.push(refused(method));
    }
    for method in ["POST", "PATCH"] {
        cases.extend(marked(method));
    }
    for code in [500, 503] {
        // A method that is not registered is not idempotent.
        cases.extend(["TRACE", "PURGE"].map(|method| after_status(method, code, None)));
    }
    cases.push(after_status("PURGE", 503, Some("0")));
    cases.extend(RETRY_AFTER.map(|(value, readable)| post_with_retry_after(value, readable)));
    cases.push(a_404_that_the_caller_added());
    cases
}

/// A status, and then a 200 if the request is sent again.
fn after_status(method: &str, code: u16, retry_after: Option<&str>) -> Case {
    let unprocessed = matches!(code, 429 | 503) && retry_after.is_some();
    let again = is_idempotent(method) || unprocessed;
    let after = retry_after.map_or("", |_| " with Retry-After");
    let name = format!("{method} after a {code}{after} {}", ending(again));
    let failed = match retry_after {
        Some(after) => status(code).header("retry-after", after),
        None => status(code),
    };
    if !again {
        return once(name, method, code, failed);
    }
    case(name, sent(method))
        .server("a", [failed, ok()])
        .expect(expect().at("a", arrivals(method, 2)).ends(200).fetches(1))
}

/// The caller gets the response to the one attempt.
fn once(name: String, method: &str, code: u16, response: Response) -> Case {
    let expected = match method {
        "HEAD" => expect().ends(code),
        _ => expect().ends_with(code, "no"),
    };
    case(name, sent(method))
        .server("a", [response.text("no")])
        .expect(expected.at("a", arrivals(method, 1)).fetches(1))
}

fn after_fault(method: &str, name: &str, broken: Fault) -> Case {
    let again = is_idempotent(method);
    let expected = match again {
        true => expect().at("a", arrivals(method, 2)).ends(200),
        false => expect()
            .at("a", arrivals(method, 1))
            .fails([Transport, Timeout]),
    };
    let responses = [Some(fault(broken)), again.then(ok)];
    case(
        format!("{method} after {name} {}", ending(again)),
        sent(method),
    )
    .server("a", responses.into_iter().flatten())
    .expect(expected.fetches(1))
}

fn after_404(method: &str) -> Case {
    let name = format!("{method} after a 404 {}", ending(false));
    once(name, method, 404, status(404).header("retry-after", "0"))
}

/// How often it is tried is invisible, but not that it ends and how.
fn refused(method: &str) -> Case {
    let name = format!("{method} to a closed port is an error");
    let mut request = sent(method);
    request.url = "{closed}/data".to_owned();
    case(name, request)
        .client(|client| client.retry.total_ms = 500)
        .server("closed", [])
        .expect(expect().fails([Transport]))
}

/// Requests that are not idempotent by their method, but safe to repeat.
fn marked(method: &str) -> Vec<Case> {
    let marks: [(&str, Request); 2] = [
        ("marked idempotent", sent(method).idempotent()),
        (
            "with an Idempotency-Key",
            sent(method).header("idempotency-key", "order-7"),
        ),
    ];
    let faults = [
        ("a 503", status(503)),
        ("a 500", status(500)),
        ("a reset", fault(Fault::Reset)),
    ];
    let pairs = marks
        .iter()
        .flat_map(|mark| faults.iter().map(move |fault| (mark, fault)));
    pairs
        .map(|((mark, request), (what, failed))| {
            case(
                format!("{method} {mark} after {what} {}", ending(true)),
                request.clone(),
            )
            .server("a", [failed.clone(), ok()])
            .expect(expect().at("a", arrivals(method, 2)).ends(200))
        })
        .collect()
}

fn post_with_retry_after(value: &str, readable: bool) -> Case {
    let name = format!(
        "POST after a 503 with Retry-After {value:?} {}",
        ending(readable)
    );
    let failed = status(503).header("retry-after", value);
    match readable {
        false => once(name, "POST", 503, failed),
        true => case(name, sent("POST"))
            .server("a", [failed, ok()])
            .expect(expect().at("a", arrivals("POST", 2)).ends(200)),
    }
}

fn a_404_that_the_caller_added() -> Case {
    case(
        format!("GET after a 404 that the caller added {}", ending(true)),
        sent("GET"),
    )
    .client(|client| client.retry.also = vec![404])
    .server("a", [status(404), ok()])
    .expect(expect().at("a", arrivals("GET", 2)).ends(200))
}

fn case(name: String, request: Request) -> Case {
    Case::new("retries", "R4", name).send(request)
}

/// The end of a name, which patterns of exceptions use.
fn ending(again: bool) -> &'static str {
    if again {
        "is sent again"
    } else {
        "is sent once"
    }
}

fn sent(method: &str) -> Request {
    let plain = request(method, "{a}/data");
    match has_body(method) {
        true => plain.body(bytes("an order")),
        false => plain,
    }
}

fn arrivals(method: &str, times: usize) -> Vec<Arrival> {
    let arrival = with("token-1", method, "/data");
    let arrival = match has_body(method) {
        true => arrival.whole(),
        false => arrival,
    };
    vec![arrival; times]
}

fn is_idempotent(method: &str) -> bool {
    !matches!(method, "POST" | "PATCH" | "PURGE")
}

fn has_body(method: &str) -> bool {
    matches!(method, "POST" | "PATCH" | "PUT")
}

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"];

const STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

const FAULTS: [(&str, Fault); 4] = [
    ("a reset", Fault::Reset),
    ("a closed connection", Fault::Close),
    ("bytes that are not HTTP", Fault::Garbage),
    ("half of a head", Fault::CutHead),
];

/// Values of `Retry-After`, and whether they say when to come back. A fraction is rounded up.
const RETRY_AFTER: [(&str, bool); 5] = [
    ("1", true),
    ("0.5", true),
    ("Sun, 06 Nov 1994 08:49:37 GMT", true),
    ("soon", false),
    ("", false),
];
