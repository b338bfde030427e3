//! R3: which refusals renew the token, and what is replayed.

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, status, unauthorized, with};

pub(super) fn cases() -> Vec<Case> {
    let renewing = RENEWING.iter().map(|(name, challenge)| {
        Case::new("challenges", "R3", format!("401 with {name} renews"))
            .send(get("{a}/data"))
            .server("a", [unauthorized(challenge), ok()])
            .expect(
                expect()
                    .at(
                        "a",
                        [
                            with("token-1", "GET", "/data"),
                            with("token-2", "GET", "/data"),
                        ],
                    )
                    .ends_with(200, "fine")
                    .fetches(2),
            )
    });
    let futile = FUTILE.iter().map(|(name, code, challenge)| {
        let refused = status(*code)
            .header("www-authenticate", challenge)
            .text("no");
        Case::new(
            "challenges",
            "R3",
            format!("{code} with {name} does not renew"),
        )
        .send(get("{a}/data"))
        .server("a", [refused])
        .expect(
            expect()
                .at("a", [with("token-1", "GET", "/data")])
                .ends_with(*code, "no")
                .field("www-authenticate", challenge)
                .fetches(1),
        )
    });
    renewing.chain(futile).collect()
}

const RENEWING: [(&str, &str); 3] = [
    ("a bare Bearer", "Bearer"),
    (
        "invalid_token",
        "Bearer realm=\"api\", error=\"invalid_token\"",
    ),
    (
        "another scheme first",
        "Negotiate, Basic realm=\"a, b\", Bearer error=\"invalid_token\"",
    ),
];

const FUTILE: [(&str, u16, &str); 2] = [
    (
        "insufficient_scope",
        401,
        "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    ),
    (
        "insufficient_user_authentication",
        401,
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"5\"",
    ),
];
