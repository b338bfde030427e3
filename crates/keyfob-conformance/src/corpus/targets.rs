//! R1: URLs and Locations that look like one origin and are another.

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, redirect};
use crate::expectation::Expectation;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, texts) in KINDS {
        for text in *texts {
            cases.push(location(text, None));
        }
        cases.push(bound(kind, texts));
        cases.push(unbound(kind, texts));
    }
    cases.extend(
        KINDS[0]
            .1
            .iter()
            .map(|text| location(text, Some("x-api-key"))),
    );
    cases
}

/// A redirect, from which the token goes nowhere else.
fn location(text: &str, header: Option<&str>) -> Case {
    let field = header.map_or("", |_| " in a custom field");
    let name = format!("the token{field} does not go to the Location {text:?}");
    others(Case::new("targets", "R1", name))
        .header(header)
        .send(get("{a}/start"))
        .server("a", [redirect(302, text), ok(), ok()])
        .expect(only_at_a())
}

/// URLs that the caller names, of which the credential is bound to none.
fn bound(kind: &str, texts: &[&str]) -> Case {
    let name = format!("a credential that is bound to a server does not go to {kind} of another");
    let case = others(Case::new("targets", "R1", name))
        .client(|client| client.origins = vec!["{a}".to_owned()])
        .always("a", ok())
        .expect(only_at_a());
    texts.iter().fold(case, |case, text| case.send(get(text)))
}

/// URLs that the caller names. Requests for other machines go to the proxy, which records them.
fn unbound(kind: &str, texts: &[&str]) -> Case {
    let name = format!("a credential without origins does not leave this machine with {kind}");
    let case = Case::new("targets", "R1", name)
        .client(|client| {
            for variable in ["http_proxy", "all_proxy"] {
                let proxy = "{p}".to_owned();
                client.environment.insert(variable.to_owned(), proxy);
            }
        })
        .always("a", ok())
        .always("b", ok())
        .always("p", ok())
        .expect(expect().anything_at("a").anything_at("b").no_token_at("p"));
    texts.iter().fold(case, |case, text| case.send(get(text)))
}

fn others(case: Case) -> Case {
    case.always("b", ok()).always("six", ok())
}

fn only_at_a() -> Expectation {
    expect()
        .anything_at("a")
        .no_token_at("b")
        .no_token_at("six")
}

/// Texts that name `b`, though some parsers take them for `a` or for nothing.
const KINDS: &[(&str, &[&str])] = &[
    (
        "slashes, backslashes and userinfo",
        &[
            "//127.0.0.1:{b.port}/x",
            "////127.0.0.1:{b.port}/x",
            "/\\127.0.0.1:{b.port}/x",
            "\\\\127.0.0.1:{b.port}/x",
            "http:\\\\127.0.0.1:{b.port}\\x",
            "http:127.0.0.1:{b.port}/x",
            "http:/127.0.0.1:{b.port}/x",
            "http:////127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port}\\@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port}@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port}:x@127.0.0.1:{b.port}/x",
            "http://user:pass@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port}#@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port}%2f@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{a.port};@127.0.0.1:{b.port}/x",
            "http://127.0.0.1:{b.port}?@127.0.0.1:{a.port}/x",
        ],
    ),
    (
        "tabs, spaces and odd bytes",
        &[
            "\thttp://127.0.0.1:{b.port}/x",
            "ht\ttp://127.0.0.1:{b.port}/x",
            "http://127.0\t.0.1:{b.port}/x",
            "http://127.0.0.1:{b.port}\t/x",
            " //127.0.0.1:{b.port}/x",
            "http://127.0.0.1 .evil.example:{b.port}/x",
            "http://127.0.0.1\\x.evil.example:{b.port}/x",
            "HTTP://127.0.0.1:{b.port}/x",
        ],
    ),
    (
        "other ways to write an address",
        &[
            "http://2130706433:{b.port}/x",
            "http://0x7f000001:{b.port}/x",
            "http://0x7f.0.0.1:{b.port}/x",
            "http://0177.0.0.1:{b.port}/x",
            "http://127.1:{b.port}/x",
            "http://127.0.0.1.:{b.port}/x",
            "http://[::ffff:127.0.0.1]:{b.port}/x",
            "http://[::ffff:7f00:1]:{b.port}/x",
            "http://[::1]:{b.port}/x",
            "http://[::1%25lo]:{b.port}/x",
            "http://[::1%lo]:{b.port}/x",
            "http://0:{b.port}/x",
            "http://0.0.0.0:{b.port}/x",
        ],
    ),
    (
        "other ways to write a name",
        &[
            "http://localhost:{b.port}/x",
            "http://LOCALHOST:{b.port}/x",
            "http://localhost.:{b.port}/x",
            "http://api.localhost:{b.port}/x",
            "http://127.0.0.1.localhost:{b.port}/x",
            "http://localhost.evil.example:{b.port}/x",
            "http://127.0.0.1.evil.example:{b.port}/x",
            "http://127%2E0%2E0%2E1:{b.port}/x",
            "http://127.0.0.1%00.evil.example:{b.port}/x",
            "http://%6c%6f%63%61%6c%68%6f%73%74:{b.port}/x",
            "http://\u{24db}ocalhost:{b.port}/x",
            "http://127\u{3002}0\u{3002}0\u{3002}1:{b.port}/x",
            "http://\u{ff11}27.0.0.1:{b.port}/x",
            "http://local\u{ad}host:{b.port}/x",
            "http://xn--localhost-.evil.example:{b.port}/x",
        ],
    ),
    (
        "odd ports",
        &[
            "http://127.0.0.1:0{b.port}/x",
            "http://127.0.0.1:000{b.port}/x",
            "http://127.0.0.1:+{b.port}/x",
            "http://127.0.0.1: {b.port}/x",
            "http://127.0.0.1:{b.port}:{a.port}/x",
            "http://127.0.0.1:{a.port}:{b.port}/x",
            "http://127.0.0.1:{b.port}{a.port}/x",
            "http://127.0.0.1:\u{ff11}/x",
        ],
    ),
];
