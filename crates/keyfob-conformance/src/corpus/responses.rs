//! R4, R6 and R8: responses that stall, come slowly, are cut off, or are compressed.

use crate::case::{Case, Client, Fault};
use crate::corpus::builders::{bytes, expect, fault, get, ok, request, status, with};
use crate::expectation::{Arrival, ArrivedBody};
use crate::outcome::ErrorName::{Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, stall) in [
        ("before the head", Fault::StallBeforeHead),
        ("in the head", Fault::StallInHead),
    ] {
        cases.push(
            case("R8", format!("GET after a stall {name} is sent again"))
                .client(impatient)
                .send(get("{a}/data"))
                .server("a", [fault(stall), ok()])
                .expect(expect().at("a", gets(2)).ends_with(200, "fine")),
        );
        cases.push(
            case("R8", format!("POST after a stall {name} is a timeout"))
                .client(impatient)
                .send(request("POST", "{a}/data").body(bytes("an order")))
                .server("a", [fault(stall)])
                .expect(
                    expect()
                        .at("a", [with("token-1", "POST", "/data").whole()])
                        .fails([Timeout]),
                ),
        );
        cases.push(
            case("R8", format!("a last stall {name} is a timeout"))
                .client(impatient)
                .client(|client| client.retry.attempts = 1)
                .send(get("{a}/data"))
                .server("a", [fault(stall)])
                .expect(expect().at("a", gets(1)).fails([Timeout])),
        );
    }
    cases.extend([
        broken("a stall in the body", Fault::StallInBody, false).client(impatient),
        broken("a body that is cut off", Fault::CutBody, false),
        broken("a compressed body that is cut off", Fault::CutBody, true),
        broken("a body that is reset", Fault::ResetBody, false),
        case("R8", "a slow body that moves is not cut off")
            .client(impatient)
            .send(get("{a}/data"))
            .server("a", [fault(Fault::SlowBody)])
            .expect(expect().at("a", gets(1)).ends_with(200, "fine")),
        case("R6", "a compressed body is whole")
            .send(get("{a}/data"))
            .server("a", [ok().compressed()])
            .expect(expect().at("a", gets(1)).ends_with(200, "fine"))
            .expect(
                expect()
                    .at("a", gets(1))
                    .ends(200)
                    .field("content-encoding", "gzip"),
            ),
        case("R6", "a compressed body of the last failure is whole")
            .client(|client| client.retry.attempts = 2)
            .send(get("{a}/data"))
            .server("a", [status(503), status(503).text("last").compressed()])
            .expect(expect().at("a", gets(2)).ends_with(503, "last"))
            .expect(
                expect()
                    .at("a", gets(2))
                    .ends(503)
                    .field("content-encoding", "gzip"),
            ),
        case("R4", "POST after a reset of its upload is sent once")
            .send(request("POST", "{a}/data").body(bytes(&"an order, ".repeat(1000))))
            .server("a", [fault(Fault::ResetInUpload)])
            .expect(
                expect()
                    .at("a", [anything("POST")])
                    .fails([Transport, Timeout]),
            ),
        case("R4", "PUT after a reset of its upload is sent again")
            .send(request("PUT", "{a}/data").body(bytes(&"an order, ".repeat(1000))))
            .server("a", [fault(Fault::ResetInUpload), ok()])
            .expect(
                expect()
                    .at(
                        "a",
                        [anything("PUT"), with("token-1", "PUT", "/data").whole()],
                    )
                    .ends_with(200, "fine"),
            ),
    ]);
    cases
}

/// The caller never gets a part of a body as if it were the whole.
///
/// A client that reads the body before it returns the response may send the request again.
fn broken(name: &str, how: Fault, compressed: bool) -> Case {
    let response = fault(how).text(&"a long text, ".repeat(20));
    let response = match compressed {
        true => response.compressed(),
        false => response,
    };
    case("R6", format!("{name} is an error or is sent again"))
        .send(get("{a}/data"))
        .server("a", [response, ok()])
        .expect(expect().at("a", gets(1)).fails([Transport, Timeout]))
        .expect(expect().at("a", gets(2)).ends_with(200, "fine"))
}

fn impatient(client: &mut Client) {
    client.timeout_ms = 400;
    client.retry.attempts = 2;
}

fn anything(method: &str) -> Arrival {
    with("token-1", method, "/data").body(ArrivedBody::Anything)
}

fn gets(times: usize) -> Vec<Arrival> {
    vec![with("token-1", "GET", "/data"); times]
}

fn case(promise: &str, name: impl Into<String>) -> Case {
    Case::new("responses", promise, name)
}
