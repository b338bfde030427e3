//! R1: which origins get the credential, and which are refused before anything is sent.

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, with};
use crate::outcome::ErrorName::{Input, Origin};

pub(super) fn cases() -> Vec<Case> {
    let refused = REFUSED.iter().map(|(name, url)| {
        Case::new(
            "origins",
            "R1",
            format!("a credential bound to one server does not go to {name}"),
        )
        .client(|client| client.origins = vec!["{a}".to_owned()])
        .send(get(url))
        .always("a", ok())
        .always("b", ok())
        .expect(expect().fails([Origin]).fetches(0))
        .expect(expect().fails([Origin]))
    });
    let plain = PLAIN.iter().map(|url| {
        Case::new(
            "origins",
            "R1",
            format!("without permission nothing goes to {url}"),
        )
        .send(get(url))
        .expect(expect().fails([Origin]))
    });
    let unusable = UNUSABLE.iter().map(|url| {
        Case::new("origins", "R1", format!("the URL {url:?} is refused"))
            .send(get(url))
            .expect(expect().fails([Input, Origin]))
    });
    let served = [
        Case::new("origins", "R1", "a credential may be bound to two servers")
            .client(|client| client.origins = vec!["{a}".to_owned(), "{b}".to_owned()])
            .send(get("{a}/data"))
            .send(get("{b}/data"))
            .server("a", [ok()])
            .server("b", [ok()])
            .expect(
                expect()
                    .at("a", [with("token-1", "GET", "/data")])
                    .at("b", [with("token-1", "GET", "/data")])
                    .ends(200)
                    .ends(200),
            ),
        Case::new(
            "origins",
            "R1",
            "the case of scheme and host does not matter",
        )
        .client(|client| client.origins = vec!["HTTP://LocalHost:{a.port}/path".to_owned()])
        .send(get("hTTp://LOCALHOST:{a.port}/data"))
        .server("a", [ok()])
        .expect(
            expect()
                .at("a", [with("token-1", "GET", "/data")])
                .ends(200),
        ),
        Case::new("origins", "R1", "https to this machine gets the token")
            .send(get("{s}/data"))
            .server("s", [ok()])
            .expect(
                expect()
                    .at("s", [with("token-1", "GET", "/data")])
                    .ends(200),
            ),
        Case::new("origins", "R1", "http to [::1] gets the token")
            .send(get("{six}/data"))
            .server("six", [ok()])
            .expect(
                expect()
                    .at("six", [with("token-1", "GET", "/data")])
                    .ends(200),
            ),
        Case::new("origins", "R1", "http to localhost gets the token")
            .send(get("http://localhost:{a.port}/data"))
            .server("a", [ok()])
            .expect(
                expect()
                    .at("a", [with("token-1", "GET", "/data")])
                    .ends(200),
            ),
    ];
    refused.chain(plain).chain(unusable).chain(served).collect()
}

const REFUSED: [(&str, &str); 5] = [
    ("another port", "{b}/x"),
    (
        "another name of this machine",
        "http://localhost:{a.port}/x",
    ),
    ("another scheme", "https://127.0.0.1:{a.port}/x"),
    ("the default port", "http://127.0.0.1/x"),
    ("another host", "https://api.test/x"),
];

const PLAIN: [&str; 5] = [
    "http://api.test/x",
    "http://192.0.2.1/x",
    "http://localhost.test/x",
    "http://[2001:db8::1]/x",
    "http://127.0.0.1.test/x",
];

const UNUSABLE: [&str; 6] = [
    "ftp://127.0.0.1/x",
    "file:///etc/passwd",
    "https://",
    "http://[::1/x",
    "https://a b.test/x",
    "http://127.0.0.1:99999/x",
];
