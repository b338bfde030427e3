//! R3 and R4: a body is sent again in full or not at all, whatever it is read from.

use crate::case::{Body, Case, Fault};
use crate::corpus::builders::{
    bytes, expect, fault, file, generator, ok, redirect, request, status, unauthorized, with,
};
use crate::expectation::Expectation;
use crate::outcome::ErrorName::{Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body) in kinds() {
        cases.push(arrives_whole(name, &body));
        cases.push(after_a_503(name, &body));
        cases.push(after_a_401(name, &body));
        cases.push(after_a_reset(name, &body));
        for code in [307, 308] {
            cases.push(after_a_redirect(name, &body, code));
        }
        cases.push(after_a_303(name, &body));
    }
    cases
}

fn arrives_whole(name: &str, body: &Body) -> Case {
    case(format!("{name} arrives whole"), body)
        .server("a", [ok()])
        .expect(
            expect()
                .at("a", [with("token-1", "PUT", "/data").whole()])
                .ends_with(200, "fine"),
        )
}

fn after_a_503(name: &str, body: &Body) -> Case {
    let name = format!("{name} is sent again in full or not at all after a 503");
    let case = case(name, body).server("a", [status(503).text("no"), ok()]);
    choices(case, body, expect().ends_with(503, "no"), "token-1")
}

fn after_a_401(name: &str, body: &Body) -> Case {
    let name = format!("{name} is sent again in full or not at all after a 401");
    let case = case(name, body).server("a", [unauthorized("Bearer").text("no"), ok()]);
    choices(
        case,
        body,
        expect().ends_with(401, "no").fetches(2),
        "token-2",
    )
}

fn after_a_reset(name: &str, body: &Body) -> Case {
    let name = format!("{name} is sent again in full or not at all after a reset");
    let case = case(name, body).server("a", [fault(Fault::Reset), ok()]);
    choices(case, body, expect().fails([Transport, Timeout]), "token-1")
}

fn after_a_redirect(name: &str, body: &Body, code: u16) -> Case {
    let name = format!("{name} is sent again in full or not at all after a {code}");
    let case = case(name, body).server("a", [redirect(code, "/data").text("moved"), ok()]);
    choices(case, body, expect().ends_with(code, "moved"), "token-1")
}

fn after_a_303(name: &str, body: &Body) -> Case {
    case(format!("{name} is dropped by a 303"), body)
        .server("a", [redirect(303, "/next"), ok()])
        .expect(
            expect()
                .at(
                    "a",
                    [
                        with("token-1", "PUT", "/data").whole(),
                        with("token-1", "GET", "/next").without("content-type"),
                    ],
                )
                .ends_with(200, "fine"),
        )
}

/// Sent again in full, unless that is impossible; otherwise sent once.
///
/// Whether a file can be read again is the choice of the HTTP client below.
fn choices(case: Case, body: &Body, once: Expectation, second: &str) -> Case {
    let first = with("token-1", "PUT", "/data").whole();
    let again = with(second, "PUT", "/data").whole();
    let case = match body {
        Body::Generator { .. } => case,
        _ => case.expect(
            expect()
                .at("a", [first.clone(), again])
                .ends_with(200, "fine"),
        ),
    };
    match body {
        Body::Bytes { .. } => case,
        _ => case.expect(once.at("a", [first])),
    }
}

fn case(name: String, body: &Body) -> Case {
    let request = request("PUT", "{a}/data").body(body.clone());
    Case::new("bodies", "R4", name).send(request)
}

fn kinds() -> [(&'static str, Body); 5] {
    let fields = [("name", "a report"), ("note", "two\r\nlines")];
    let fields = fields.map(|(name, text)| (name.to_owned(), text.to_owned()));
    [
        ("a body in memory", bytes("an order of ten apples")),
        ("a file", file("the text of a file", 0)),
        ("a file at an offset", file("the text of a file", 9)),
        (
            "a generator",
            generator(&["one piece, ", "another piece, ", "the last"]),
        ),
        (
            "a form with parts",
            Body::Multipart {
                fields: fields.into(),
            },
        ),
    ]
}
