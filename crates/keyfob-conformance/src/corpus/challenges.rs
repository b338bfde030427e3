//! R3: which refusals renew the token.

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, status, with};

pub(super) fn cases() -> Vec<Case> {
    let renewing = RENEWING.iter().map(|(name, code, challenge)| {
        let refused = match *challenge {
            "" => status(*code),
            field => status(*code).header("www-authenticate", field),
        };
        Case::new("challenges", "R3", format!("{code} with {name} renews"))
            .send(get("{a}/data"))
            .server("a", [refused, ok()])
            .expect(
                expect()
                    .at(
                        "a",
                        ["token-1", "token-2"].map(|token| with(token, "GET", "/data")),
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
    renewing.chain(futile).chain([several_fields()]).collect()
}

fn several_fields() -> Case {
    let refused = status(403)
        .header("www-authenticate", "Basic realm=\"files\"")
        .header("www-authenticate", "Bearer error=\"invalid_token\"");
    Case::new(
        "challenges",
        "R3",
        "403 with invalid_token in the second field renews",
    )
    .send(get("{a}/data"))
    .server("a", [refused, ok()])
    .expect(
        expect()
            .at(
                "a",
                ["token-1", "token-2"].map(|token| with(token, "GET", "/data")),
            )
            .ends_with(200, "fine")
            .fetches(2),
    )
}

/// A 401 refuses the credential whatever it says; another status does if it says so (RFC 6750 §3.1).
const RENEWING: [(&str, u16, &str); 18] = [
    ("no challenge", 401, ""),
    ("a bare Bearer", 401, "Bearer"),
    ("another scheme", 401, "Basic realm=\"files\""),
    ("a token68", 401, "Negotiate YIIBhgYGKwYBBQUCoIIBejCCAXag=="),
    (
        "invalid_token",
        401,
        "Bearer realm=\"api\", error=\"invalid_token\"",
    ),
    (
        "invalid_token without quotes",
        401,
        "Bearer error=invalid_token",
    ),
    ("invalid_request", 401, "Bearer error=\"invalid_request\""),
    ("an unclosed quote", 401, "Bearer error=\"invalid_token"),
    ("only commas", 401, ", ,,"),
    ("a parameter without a scheme", 401, "realm=\"api\""),
    (
        "insufficient_scope in a description",
        401,
        "Bearer error_description=\"not insufficient_scope\"",
    ),
    (
        "insufficient_scope of another scheme",
        401,
        "Other error=\"insufficient_scope\"",
    ),
    ("invalid_token", 400, "Bearer error=\"invalid_token\""),
    ("invalid_token", 403, "Bearer error=\"invalid_token\""),
    (
        "invalid_token in lower case",
        403,
        "bearer ERROR=\"invalid_token\"",
    ),
    (
        "invalid_token after another scheme",
        403,
        "Negotiate, Basic realm=\"a, b\", Bearer error=\"invalid_token\"",
    ),
    (
        "invalid_token after a token68",
        403,
        "Negotiate YII==, Bearer error=\"invalid_token\"",
    ),
    (
        "invalid_token before another scheme",
        403,
        "Bearer error=\"invalid_token\", Basic realm=\"x\"",
    ),
];

const FUTILE: [(&str, u16, &str); 17] = [
    (
        "insufficient_scope",
        401,
        "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    ),
    (
        "insufficient_scope",
        403,
        "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    ),
    (
        "insufficient_scope without quotes",
        401,
        "Bearer error=insufficient_scope",
    ),
    (
        "insufficient_scope after another scheme",
        401,
        "Basic realm=\"a, b\", Bearer error=\"insufficient_scope\"",
    ),
    (
        "insufficient_scope after a token68",
        401,
        "Negotiate YII==, Bearer scope=\"a\", error=\"insufficient_scope\"",
    ),
    (
        "insufficient_user_authentication",
        401,
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"5\"",
    ),
    (
        "insufficient_user_authentication",
        403,
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\"",
    ),
    (
        "insufficient_user_authentication after another scheme",
        401,
        "Basic realm=\"x\", Bearer max_age=5, error=insufficient_user_authentication",
    ),
    (
        "insufficient_user_authentication for DPoP",
        401,
        "DPoP algs=\"ES256\", error=\"insufficient_user_authentication\", max_age=\"0\"",
    ),
    (
        "insufficient_user_authentication for DPoP",
        403,
        "DPoP error=\"insufficient_user_authentication\", acr_values=\"gold silver\"",
    ),
    (
        "insufficient_scope for DPoP",
        403,
        "Bearer, DPoP error=\"insufficient_scope\", scope=\"admin\"",
    ),
    (
        "insufficient_scope and a resource's metadata",
        403,
        "Bearer error=\"insufficient_scope\", resource_metadata=\"https://api.example/.well-known/x\"",
    ),
    (
        "insufficient_scope",
        429,
        "Bearer error=\"insufficient_scope\", scope=\"admin\"",
    ),
    (
        "insufficient_user_authentication",
        503,
        "Bearer error=\"insufficient_user_authentication\", max_age=\"5\"",
    ),
    ("a bare Bearer", 403, "Bearer"),
    (
        "invalid_token of another scheme",
        403,
        "Other error=\"invalid_token\"",
    ),
    ("invalid_request", 400, "Bearer error=\"invalid_request\""),
];
