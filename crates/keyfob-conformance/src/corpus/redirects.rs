//! R1: whether a request carries the credential, its method and its body after a redirect.

use crate::case::{Body, Case};
use crate::corpus::builders::{bare, bytes, expect, generator, get, ok, redirect, request, with};
use crate::expectation::{Arrival, Expectation};
use crate::outcome::ErrorName::{Input, Redirect, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        for header in [None, Some("x-api-key")] {
            for place in PLACES {
                let bodies = [
                    ("in memory", bytes("an order")),
                    ("streamed", generator(&["an ", "order"])),
                ];
                cases.extend(bodies.map(|body| moved(code, header, &place, body)));
            }
        }
    }
    cases.extend([
        a_get_to(&PLACES[0]),
        a_get_to(&PLACES[1]),
        a_get_to(&UPGRADE),
        host_field(),
        own_authorization(),
        to_a_bound_origin(),
        endless(),
        not_followed("ftp://127.0.0.1/x"),
        not_followed("javascript:alert(1)"),
    ]);
    cases.extend([300, 304, 305, 306].map(no_redirect));
    cases
}

/// Where a redirect leads, and by which way.
struct Place {
    name: &'static str,
    /// The server of the first request.
    from: &'static str,
    /// The servers and paths of those after it.
    hops: &'static [(&'static str, &'static str)],
    is_same_origin: bool,
}

/// A POST that is redirected. With 301, 302 and 303 it becomes a GET without a body; with 307 and 308 it stays.
fn moved(code: u16, header: Option<&str>, place: &Place, (kept, body): (&str, Body)) -> Case {
    let keeps_body = matches!(code, 307 | 308);
    let is_streamed = matches!(body, Body::Generator { .. });
    let field = header.map_or("Authorization", |_| "a custom field");
    let name = format!("{code} {} of a body {kept}, token in {field}", place.name);
    let case = place
        .case(code, name)
        .header(header)
        .send(request("POST", &place.start()).body(body));
    let first = expect().arrives(place.from, with("token-1", "POST", "/start").whole());
    if is_streamed && keeps_body {
        // The body is gone, so the caller gets the response that asks for it again.
        return case.expect(first.ends(code));
    }
    let next = |path: &str| match keeps_body {
        true => bare("POST", path).whole(),
        false => bare("GET", path)
            .without("content-type")
            .without("content-length"),
    };
    case.expect(place.then(first, next).ends_with(200, "fine"))
}

fn a_get_to(place: &Place) -> Case {
    let first = expect().arrives(place.from, with("token-1", "GET", "/start"));
    let next = |path: &str| bare("GET", path);
    place
        .case(302, format!("302 {} of a GET", place.name))
        .send(get(&place.start()))
        .expect(place.then(first, next).ends_with(200, "fine"))
}

impl Place {
    /// A case whose servers redirect, each to the next, and whose last server responds.
    fn case(&self, code: u16, name: String) -> Case {
        let mut case = Case::new("redirects", "R1", name);
        let mut at = self.from;
        for (server, path) in self.hops {
            let location = self.location(server, path);
            case = case.server(at, [redirect(code, &location)]);
            at = server;
        }
        case.server(at, [ok()])
    }

    fn start(&self) -> String {
        format!("{{{}}}/start", self.from)
    }

    fn location(&self, server: &str, path: &str) -> String {
        match self.name {
            "to another name" => format!("http://localhost:{{{server}.port}}{path}"),
            "within the origin" => path.to_owned(),
            _ => format!("{{{server}}}{path}"),
        }
    }

    /// The requests after the first, with the token if they stay in the origin.
    fn then(&self, first: Expectation, next: impl Fn(&str) -> Arrival) -> Expectation {
        self.hops.iter().fold(first, |expected, (server, path)| {
            let token = self.is_same_origin.then(|| "token-1".to_owned());
            let next = next(path);
            expected.arrives(server, Arrival { token, ..next })
        })
    }
}

fn host_field() -> Case {
    Case::new(
        "redirects",
        "R1",
        "302 to another port of a GET with a Host of its own",
    )
    .send(get("{a}/start").header("host", "virtual.example"))
    .server("a", [redirect(302, "{b}/there")])
    .server("b", [ok()])
    .expect(
        expect()
            .at(
                "a",
                [with("token-1", "GET", "/start").header("host", "virtual.example")],
            )
            .at(
                "b",
                [bare("GET", "/there").header("host", "127.0.0.1:{b.port}")],
            )
            .ends(200),
    )
}

/// What the caller set was for the first origin too.
fn own_authorization() -> Case {
    let name =
        "302 to another port of a GET with an Authorization of its own, token in a custom field";
    Case::new("redirects", "R1", name)
        .header(Some("x-api-key"))
        .send(get("{a}/start").header("authorization", "Basic Y2FsbGVyOnM="))
        .server("a", [redirect(302, "{b}/there")])
        .server("b", [ok()])
        .expect(
            expect()
                .at("a", [with("token-1", "GET", "/start")])
                .at("b", [bare("GET", "/there").without("authorization")])
                .ends(200),
        )
}

/// The caller named it, but not in this request.
fn to_a_bound_origin() -> Case {
    Case::new(
        "redirects",
        "R1",
        "302 to another port that is bound too of a GET",
    )
    .client(|client| client.origins = ["{a}", "{b}"].map(str::to_owned).into())
    .send(get("{a}/start"))
    .server("a", [redirect(302, "{b}/there")])
    .server("b", [ok()])
    .expect(
        expect()
            .at("a", [with("token-1", "GET", "/start")])
            .at("b", [bare("GET", "/there")])
            .ends(200),
    )
}

/// Other statuses of this class have a `Location` for other reasons, or none.
fn no_redirect(code: u16) -> Case {
    Case::new(
        "redirects",
        "R1",
        format!("a {code} with a Location is returned"),
    )
    .send(get("{a}/start"))
    .server("a", [redirect(code, "{b}/there")])
    .server("b", [])
    .expect(
        expect()
            .at("a", [with("token-1", "GET", "/start")])
            .ends(code),
    )
}

fn endless() -> Case {
    Case::new("redirects", "R1", "a redirect without end is an error")
        .send(get("{a}/start"))
        .always("a", redirect(302, "/start"))
        .expect(expect().anything_at("a").fails([Redirect]))
}

/// The caller gets the redirect, or the error that `requests` and `httpx` have for it.
fn not_followed(location: &str) -> Case {
    let once = || expect().at("a", [with("token-1", "GET", "/start")]);
    let name = format!("a redirect to {location} is not followed");
    Case::new("redirects", "R1", name)
        .send(get("{a}/start"))
        .server("a", [redirect(302, location).text("moved")])
        .expect(once().ends_with(302, "moved"))
        .expect(once().fails([Input, Redirect, Transport]))
}

const PLACES: [Place; 5] = [
    Place {
        name: "within the origin",
        from: "a",
        hops: &[("a", "/next")],
        is_same_origin: true,
    },
    Place {
        name: "to another port",
        from: "a",
        hops: &[("b", "/there")],
        is_same_origin: false,
    },
    Place {
        name: "to another name",
        from: "a",
        hops: &[("a", "/named")],
        is_same_origin: false,
    },
    Place {
        name: "from https to http",
        from: "s",
        hops: &[("b", "/there")],
        is_same_origin: false,
    },
    Place {
        name: "to another port and back",
        from: "a",
        hops: &[("b", "/there"), ("a", "/back")],
        is_same_origin: false,
    },
];

const UPGRADE: Place = Place {
    name: "from http to https",
    from: "a",
    hops: &[("s", "/there")],
    is_same_origin: false,
};
