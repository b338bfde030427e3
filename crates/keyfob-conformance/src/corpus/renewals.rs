//! R2, R3 and R7: renewals of the token, the token of each attempt, and replays.

use crate::case::{Case, Fetched};
use crate::corpus::builders::{
    bare, bytes, expect, generator, get, ok, redirect, request, status, token, unauthorized, with,
};
use crate::expectation::Arrival;
use crate::outcome::ErrorName::NoToken;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R3", "a second 401 is returned")
            .send(get("{a}/data"))
            .server(
                "a",
                [unauthorized("Bearer"), unauthorized("Bearer").text("no")],
            )
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-2"]))
                    .ends_with(401, "no")
                    .fetches(2),
            ),
        case(
            "R3",
            "a renewal that brings the same token sends nothing again",
        )
        .client(|client| client.fetches = vec![token("token-same"), token("token-same")])
        .send(get("{a}/data"))
        .server("a", [unauthorized("Bearer").text("no")])
        .expect(
            expect()
                .at("a", gets(&["token-same"]))
                .ends_with(401, "no")
                .fetches(2),
        ),
        case("R3", "a renewal that fails returns the 401")
            .client(|client| client.fetches = vec![token("token-1"), Fetched::Failure])
            .send(get("{a}/data"))
            .server("a", [unauthorized("Bearer").text("no")])
            .expect(
                expect()
                    .at("a", gets(&["token-1"]))
                    .ends_with(401, "no")
                    .fetches(2),
            ),
        case("R2", "without a token nothing is sent")
            .client(|client| client.fetches = vec![Fetched::Failure])
            .send(get("{a}/data"))
            .server("a", [])
            .expect(expect().fails([NoToken]).fetches(1)),
        case("R7", "a retry after a renewal carries the new token")
            .send(get("{a}/data"))
            .server("a", [unauthorized("Bearer"), status(503), ok()])
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-2", "token-2"]))
                    .ends(200)
                    .fetches(2),
            ),
        case("R3", "a 401 after a retry renews")
            .send(get("{a}/data"))
            .server("a", [status(503), unauthorized("Bearer"), ok()])
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-1", "token-2"]))
                    .ends(200)
                    .fetches(2),
            ),
        case("R3", "the next request carries the new token")
            .send(get("{a}/data"))
            .send(get("{a}/data"))
            .server("a", [unauthorized("Bearer"), ok(), ok()])
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-2", "token-2"]))
                    .ends(200)
                    .ends(200)
                    .fetches(2),
            ),
        case("R7", "two requests share one token")
            .send(get("{a}/data"))
            .send(get("{a}/data"))
            .server("a", [ok(), ok()])
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-1"]))
                    .ends(200)
                    .ends(200)
                    .fetches(1),
            ),
        case(
            "R3",
            "after the 401 of a streamed body the next request carries the new token",
        )
        .send(request("PUT", "{a}/data").body(generator(&["an ", "order"])))
        .send(get("{a}/data"))
        .server("a", [unauthorized("Bearer").text("no"), ok()])
        .expect(
            expect()
                .at(
                    "a",
                    [
                        with("token-1", "PUT", "/data").whole(),
                        with("token-2", "GET", "/data"),
                    ],
                )
                .ends_with(401, "no")
                .ends(200)
                .fetches(2),
        ),
    ];
    cases.extend(rejected_by_setting());
    for method in ["POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"] {
        cases.push(replayed(method, None));
    }
    for header in ["x-api-key", "X-Auth-Token"] {
        cases.push(replayed("GET", Some(header)));
        cases.push(replayed("POST", Some(header)));
    }
    for code in [302, 307] {
        cases.push(a_401_and_then_a_redirect(code));
    }
    cases
}

fn replayed(method: &str, header: Option<&str>) -> Case {
    let field = header.map_or(String::new(), |name| format!(" with a token in {name}"));
    let has_body = matches!(method, "POST" | "PATCH" | "PUT");
    let (request, arrive) = match has_body {
        true => (
            request(method, "{a}/data").body(bytes("an order")),
            Arrival::whole as fn(Arrival) -> Arrival,
        ),
        false => (request(method, "{a}/data"), (|arrival| arrival) as _),
    };
    case(
        "R3",
        format!("{method}{field} is replayed in full after a 401"),
    )
    .header(header)
    .send(request)
    .server("a", [unauthorized("Bearer"), ok()])
    .expect(
        expect()
            .at(
                "a",
                ["token-1", "token-2"].map(|token| arrive(with(token, method, "/data"))),
            )
            .ends(200)
            .fetches(2),
    )
}

/// Servers that refuse a token with another status than 401, and without a challenge.
fn rejected_by_setting() -> Vec<Case> {
    let rejecting = |name: String, codes: &[u16]| {
        let codes = codes.to_vec();
        case("R3", name).client(|client| client.rejected_statuses = codes)
    };
    let mut cases = Vec::new();
    for code in [400, 403, 419, 498, 500] {
        let name = format!("a {code} that means a rejected token is replayed");
        let orders = ["token-1", "token-2"].map(|token| with(token, "POST", "/data").whole());
        cases.push(
            rejecting(name, &[code])
                .send(request("POST", "{a}/data").body(bytes("an order")))
                .server("a", [status(code), ok()])
                .expect(expect().at("a", orders).ends(200).fetches(2)),
        );
    }
    let name = "a second 403 that means a rejected token is returned";
    cases.push(
        rejecting(name.to_owned(), &[403])
            .send(get("{a}/data"))
            .server("a", [status(403), status(403).text("no")])
            .expect(
                expect()
                    .at("a", gets(&["token-1", "token-2"]))
                    .ends_with(403, "no")
                    .fetches(2),
            ),
    );
    let name = "a 403 that asks for more scope is returned although it means a rejected token";
    let challenge = "Bearer error=\"insufficient_scope\"";
    cases.push(
        rejecting(name.to_owned(), &[403])
            .send(get("{a}/data"))
            .server("a", [status(403).header("www-authenticate", challenge)])
            .expect(expect().at("a", gets(&["token-1"])).ends(403).fetches(1)),
    );
    let name = "a 403 is returned where only 498 means a rejected token";
    cases.push(
        rejecting(name.to_owned(), &[498])
            .send(get("{a}/data"))
            .server("a", [status(403)])
            .expect(expect().at("a", gets(&["token-1"])).ends(403).fetches(1)),
    );
    let name = "the 403 of another origin after a redirect means nothing";
    cases.push(
        rejecting(name.to_owned(), &[403])
            .send(get("{a}/data"))
            .server("a", [redirect(302, "{b}/data")])
            .server("b", [status(403)])
            .expect(
                expect()
                    .at("a", gets(&["token-1"]))
                    .at("b", [bare("GET", "/data")])
                    .ends(403)
                    .fetches(1),
            ),
    );
    cases
}

fn a_401_and_then_a_redirect(code: u16) -> Case {
    case(
        "R7",
        format!("a {code} after a renewal is followed with the new token"),
    )
    .send(get("{a}/data"))
    .server("a", [unauthorized("Bearer"), redirect(code, "/next"), ok()])
    .expect(
        expect()
            .at(
                "a",
                [
                    with("token-1", "GET", "/data"),
                    with("token-2", "GET", "/data"),
                    with("token-2", "GET", "/next"),
                ],
            )
            .ends(200)
            .fetches(2),
    )
}

fn case(promise: &str, name: impl Into<String>) -> Case {
    Case::new("renewals", promise, name)
}

fn gets(tokens: &[&str]) -> Vec<Arrival> {
    let tokens = tokens.iter();
    tokens.map(|token| with(token, "GET", "/data")).collect()
}
