//! R1, R3 and R4 together: a 401 or a 503 before or after a redirect.

use crate::case::{Case, Response};
use crate::corpus::builders::{
    bare, bytes, expect, get, ok, redirect, request, status, unauthorized, with,
};
use crate::expectation::Arrival;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![a_401_after_a_way_back(), the_next_request()];
    for failure in failures() {
        for code in [301, 302, 303, 307, 308] {
            cases.extend(FIELDS.map(|field| failure.of_a_get(code, field)));
            cases.push(failure.of_a_post(code));
            cases.push(failure.elsewhere(code));
        }
        cases.extend(FIELDS.map(|field| failure.before_a_redirect_elsewhere(field)));
    }
    cases
}

/// What fails, and the token of the attempt after it.
struct Failure {
    what: &'static str,
    response: Response,
    second: &'static str,
}

fn failures() -> [Failure; 2] {
    [
        Failure {
            what: "401",
            response: unauthorized("Bearer").text("no"),
            second: "token-2",
        },
        Failure {
            what: "503",
            response: status(503).header("retry-after", "0").text("no"),
            second: "token-1",
        },
    ]
}

impl Failure {
    /// The second hop is sent again; a client that sees no redirects may begin with the first.
    fn of_a_get(&self, code: u16, (name, header): Field) -> Case {
        let hops = |third: Arrival| {
            let first = with("token-1", "GET", "/start");
            [first, with("token-1", "GET", "/next"), third]
        };
        let again = |path: &str| {
            expect()
                .at("a", hops(with(self.second, "GET", path)))
                .ends_with(200, "fine")
        };
        self.case(
            "R3",
            format!("behind a {code} of a GET is sent again, token in {name}"),
        )
        .header(header)
        .send(get("{a}/start"))
        .server("a", [redirect(code, "/next"), self.response.clone(), ok()])
        .expect(again("/next"))
        .expect(again("/start"))
    }

    /// The response to the second hop never leads to a second POST of the first, once the method has changed.
    fn of_a_post(&self, code: u16) -> Case {
        let keeps = matches!(code, 307 | 308);
        let start = |token: &str| with(token, "POST", "/start").whole();
        let next = |token: &str| match keeps {
            true => with(token, "POST", "/next").whole(),
            false => with(token, "GET", "/next"),
        };
        let again = |third: Arrival| {
            expect()
                .at("a", [start("token-1"), next("token-1"), third])
                .ends_with(200, "fine")
        };
        let returned = expect()
            .at("a", [start("token-1"), next("token-1")])
            .ends_with(self.response.status, "no");
        let case = self
            .case(
                "R3",
                format!("behind a {code} of a POST never repeats another request"),
            )
            .send(request("POST", "{a}/start").body(bytes("an order")))
            .server("a", [redirect(code, "/next"), self.response.clone(), ok()])
            .expect(again(next(self.second)))
            .expect(returned);
        match keeps {
            false => case,
            // The same request, which no server has processed.
            true => case.expect(again(start(self.second))),
        }
    }

    /// Another origin got no token, so its 401 renews none, and it gets none with a retry.
    fn elsewhere(&self, code: u16) -> Case {
        let there = |times| {
            expect()
                .at("a", [with("token-1", "GET", "/start")])
                .at("b", vec![bare("GET", "/there"); times])
                .fetches(1)
        };
        let case = self
            .case(
                "R1",
                format!("behind a {code} to another port brings no token there"),
            )
            .send(get("{a}/start"))
            .server("a", [redirect(code, "{b}/there")])
            .server("b", [self.response.clone(), ok()])
            .expect(there(1).ends_with(self.response.status, "no"));
        match self.what {
            "401" => case,
            _ => case.expect(there(2).ends_with(200, "fine")),
        }
    }

    fn before_a_redirect_elsewhere(&self, (name, header): Field) -> Case {
        let starts = ["token-1", self.second].map(|token| with(token, "GET", "/start"));
        self.case(
            "R1",
            format!("before a 302 to another port brings no token there, token in {name}"),
        )
        .header(header)
        .send(get("{a}/start"))
        .server("a", [self.response.clone(), redirect(302, "{b}/there")])
        .server("b", [ok()])
        .expect(
            expect()
                .at("a", starts)
                .at("b", [bare("GET", "/there")])
                .ends_with(200, "fine"),
        )
    }

    fn case(&self, promise: &str, name: String) -> Case {
        Case::new("hops", promise, format!("a {} {name}", self.what))
    }
}

/// The request that came back had no token, so its 401 says nothing about the token.
fn a_401_after_a_way_back() -> Case {
    Case::new(
        "hops",
        "R1",
        "a 401 after a way to another port and back renews nothing",
    )
    .send(get("{a}/start"))
    .server(
        "a",
        [
            redirect(302, "{b}/there"),
            unauthorized("Bearer").text("no"),
        ],
    )
    .server("b", [redirect(302, "{a}/back")])
    .expect(
        expect()
            .at(
                "a",
                [with("token-1", "GET", "/start"), bare("GET", "/back")],
            )
            .at("b", [bare("GET", "/there")])
            .ends_with(401, "no")
            .fetches(1),
    )
}

fn the_next_request() -> Case {
    let name = "after a 302 to another port the next request has the token again";
    let at_a = ["/start", "/data"].map(|path| with("token-1", "GET", path));
    Case::new("hops", "R1", name)
        .send(get("{a}/start"))
        .send(get("{a}/data"))
        .server("a", [redirect(302, "{b}/there"), ok()])
        .server("b", [ok()])
        .expect(
            expect()
                .at("a", at_a)
                .at("b", [bare("GET", "/there")])
                .ends(200)
                .ends(200),
        )
}

/// A name, and the field if it is not `Authorization`.
type Field = (&'static str, Option<&'static str>);

const FIELDS: [Field; 2] = [
    ("Authorization", None),
    ("a custom field", Some("x-api-key")),
];
