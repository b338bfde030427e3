//! R5 and R6: retries end, and the caller gets the last response or error as it is.

use crate::case::{Case, Fault};
use crate::corpus::builders::{expect, fault, get, ok, status, with};
use crate::outcome::ErrorName::{Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let again = |times| vec![with("token-1", "GET", "/data"); times];
    let mut cases = vec![
        case("R6", "of four failures the last response is returned")
            .server(
                "a",
                [
                    status(503).text("first"),
                    status(500).text("second"),
                    status(429).text("third"),
                    status(502).text("fourth").header("x-last", "yes"),
                ],
            )
            .expect(
                expect()
                    .at("a", again(4))
                    .ends_with(502, "fourth")
                    .field("x-last", "yes"),
            ),
        case("R6", "a response after an error is returned")
            .client(|client| client.retry.attempts = 2)
            .server("a", [fault(Fault::Reset), status(503).text("last")])
            .expect(expect().at("a", again(2)).ends_with(503, "last")),
        case("R6", "an error after a response is returned")
            .client(|client| client.retry.attempts = 2)
            .server("a", [status(503).text("first"), fault(Fault::Reset)])
            .expect(expect().at("a", again(2)).fails([Transport, Timeout])),
        case("R5", "with one attempt nothing is sent again")
            .client(|client| client.retry.attempts = 1)
            .server("a", [status(503).text("no")])
            .expect(expect().at("a", again(1)).ends_with(503, "no")),
    ];
    for value in [
        "3600",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "99999999999999999999",
    ] {
        cases.push(
            case(
                "R5",
                format!(
                    "Retry-After {value:?} is beyond the total time, so the response is returned"
                ),
            )
            .server("a", [status(503).text("no").header("retry-after", value)])
            .expect(
                expect()
                    .at("a", again(1))
                    .ends_with(503, "no")
                    .field("retry-after", value),
            ),
        );
    }
    cases.push(
        case("R5", "after the total time no attempt begins")
            .client(|client| {
                client.retry.total_ms = 300;
                client.timeout_ms = 400;
            })
            .server("a", [fault(Fault::StallBeforeHead), ok()])
            .expect(expect().at("a", again(1)).fails([Timeout])),
    );
    cases.push(budget());
    cases
}

/// Retries multiply the load of an outage at first only.
fn budget() -> Case {
    let name = "requests in an outage share one budget";
    let case = Case::new("bounds", "R5", name).always("a", status(500).text("no"));
    let expected = expect().at_most("a", 30 + RETRIES);
    let (case, expected) = (0..30).fold((case, expected), |(case, expected), _| {
        (case.send(get("{a}/data")), expected.ends_with(500, "no"))
    });
    case.expect(expected)
}

fn case(promise: &str, name: impl Into<String>) -> Case {
    Case::new("bounds", promise, name).send(get("{a}/data"))
}

/// How many retries a full budget pays for.
const RETRIES: usize = 35;
