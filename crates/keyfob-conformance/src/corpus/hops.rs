//! R1, R3 and R4 together: a 401 or a 503 before or after a redirect.

use crate::case::{Case, Response};
use crate::corpus::builders::{
    bare, bytes, expect, get, ok, redirect, request, status, unauthorized, with,
};
use crate::expectation::Arrival;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        for (what, failed, second) in failures() {
            cases.push(of_a_get(code, what, &failed, second));
            cases.push(of_a_post(code, what, &failed, second));
            cases.push(elsewhere(code, what, &failed));
        }
    }
    for (what, failed, second) in failures() {
        cases.push(before_a_redirect_elsewhere(what, &failed, second));
    }
    cases
}

/// What fails, the response, and the token of the attempt after it.
fn failures() -> [(&'static str, Response, &'static str); 2] {
    let unavailable = status(503).header("retry-after", "0").text("no");
    [
        ("401", unauthorized("Bearer").text("no"), "token-2"),
        ("503", unavailable, "token-1"),
    ]
}

/// The second hop is sent again; a client that sees no redirects may begin with the first.
fn of_a_get(code: u16, what: &str, failed: &Response, second: &str) -> Case {
    let start = |token: &str| with(token, "GET", "/start");
    let next = |token: &str| with(token, "GET", "/next");
    Case::new(
        "hops",
        "R3",
        format!("a {what} behind a {code} of a GET is sent again"),
    )
    .send(get("{a}/start"))
    .server("a", [redirect(code, "/next"), failed.clone(), ok()])
    .expect(
        expect()
            .at("a", [start("token-1"), next("token-1"), next(second)])
            .ends_with(200, "fine"),
    )
    .expect(
        // The third response of the script is the end of it.
        expect()
            .at("a", [start("token-1"), next("token-1"), start(second)])
            .ends_with(200, "fine"),
    )
}

/// The response to the second hop never leads to a second POST of the first, once the method has changed.
fn of_a_post(code: u16, what: &str, failed: &Response, second: &str) -> Case {
    let keeps = matches!(code, 307 | 308);
    let start = with("token-1", "POST", "/start").whole();
    let next = |token: &str| -> Arrival {
        match keeps {
            true => with(token, "POST", "/next").whole(),
            false => with(token, "GET", "/next"),
        }
    };
    let case = Case::new(
        "hops",
        "R3",
        format!("a {what} behind a {code} of a POST never repeats another request"),
    )
    .send(request("POST", "{a}/start").body(bytes("an order")))
    .server("a", [redirect(code, "/next"), failed.clone(), ok()])
    .expect(
        expect()
            .at("a", [start.clone(), next("token-1"), next(second)])
            .ends_with(200, "fine"),
    )
    .expect(
        expect()
            .at("a", [start.clone(), next("token-1")])
            .ends_with(failed.status, "no"),
    );
    match keeps {
        false => case,
        // The same request, which nobody has processed.
        true => case.expect(
            expect()
                .at(
                    "a",
                    [
                        start,
                        next("token-1"),
                        with(second, "POST", "/start").whole(),
                    ],
                )
                .ends_with(200, "fine"),
        ),
    }
}

/// Another origin got no token, so its 401 renews none, and it gets none with a retry.
fn elsewhere(code: u16, what: &str, failed: &Response) -> Case {
    let there = bare("GET", "/there");
    let case = Case::new(
        "hops",
        "R1",
        format!("a {what} behind a {code} to another port brings no token there"),
    )
    .send(get("{a}/start"))
    .server("a", [redirect(code, "{b}/there")])
    .server("b", [failed.clone(), ok()])
    .expect(
        expect()
            .at("a", [with("token-1", "GET", "/start")])
            .at("b", [there.clone()])
            .ends_with(failed.status, "no")
            .fetches(1),
    );
    match what {
        "401" => case,
        _ => case.expect(
            expect()
                .at("a", [with("token-1", "GET", "/start")])
                .at("b", [there.clone(), there])
                .ends_with(200, "fine")
                .fetches(1),
        ),
    }
}

fn before_a_redirect_elsewhere(what: &str, failed: &Response, second: &str) -> Case {
    Case::new(
        "hops",
        "R1",
        format!("a 302 to another port after a {what} brings no token there"),
    )
    .send(get("{a}/start"))
    .server("a", [failed.clone(), redirect(302, "{b}/there")])
    .server("b", [ok()])
    .expect(
        expect()
            .at(
                "a",
                ["token-1", second].map(|token| with(token, "GET", "/start")),
            )
            .at("b", [bare("GET", "/there")])
            .ends_with(200, "fine"),
    )
}
