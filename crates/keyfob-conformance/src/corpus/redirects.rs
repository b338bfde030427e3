//! R1: where the credential goes on a redirect.

use crate::case::Case;
use crate::corpus::builders::{bare, expect, get, ok, redirect, with};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in [301, 302, 303, 307, 308] {
        for header in [None, Some("x-api-key")] {
            let field = header.map_or("Authorization", |_| "a custom header");
            cases.push(
                Case::new(
                    "redirects",
                    "R1",
                    format!("{code} within the origin keeps {field}"),
                )
                .header(header)
                .send(get("{a}/start"))
                .server("a", [redirect(code, "/next"), ok()])
                .expect(
                    expect()
                        .at(
                            "a",
                            [
                                with("token-1", "GET", "/start"),
                                with("token-1", "GET", "/next"),
                            ],
                        )
                        .ends_with(200, "fine"),
                ),
            );
            cases.push(
                Case::new(
                    "redirects",
                    "R1",
                    format!("{code} to another port and back removes {field}"),
                )
                .header(header)
                .send(get("{a}/start"))
                .server("a", [redirect(code, "{b}/there"), ok()])
                .server("b", [redirect(code, "{a}/back")])
                .expect(
                    expect()
                        .at(
                            "a",
                            [with("token-1", "GET", "/start"), bare("GET", "/back")],
                        )
                        .at("b", [bare("GET", "/there")])
                        .ends_with(200, "fine"),
                ),
            );
        }
    }
    cases
}
