//! R1: URLs and Locations that look like one origin and are another.

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, redirect};
use crate::expectation::Expectation;
use crate::outcome::ErrorName::{Input, Origin, Transport};

pub(super) fn cases() -> Vec<Case> {
    let locations = FOREIGN.iter().map(|url| {
        Case::new(
            "targets",
            "R1",
            format!("the token does not go to the Location {url:?}"),
        )
        .client(|client| client.origins = vec!["{a}".to_owned()])
        .send(get("{a}/start"))
        .server("a", [redirect(302, url), ok(), ok()])
        .always("b", ok())
        .expect(elsewhere())
    });
    let urls = FOREIGN.iter().map(|url| {
        Case::new(
            "targets",
            "R1",
            format!("the token does not go to the URL {url:?}"),
        )
        .client(|client| client.origins = vec!["{a}".to_owned()])
        .send(get(url))
        .always("a", ok())
        .always("b", ok())
        .expect(expect().fails([Input, Origin, Transport]))
        .expect(elsewhere().ends(200))
    });
    locations.chain(urls).collect()
}

/// Whatever happens, `b` receives no token.
fn elsewhere() -> Expectation {
    expect().anything_at("a").no_token_at("b")
}

/// Texts that name `b`, or that some parsers take for `a`.
const FOREIGN: [&str; 4] = [
    "//127.0.0.1:{b.port}/x",
    "////127.0.0.1:{b.port}/x",
    "http://127.0.0.1:{a.port}\\@127.0.0.1:{b.port}/x",
    "http://127.0.0.1:{a.port}@127.0.0.1:{b.port}/x",
];
