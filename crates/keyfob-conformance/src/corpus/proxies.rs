//! R1 with a proxy in the environment: what stays on this machine stays there, and no proxy gets a token in clear.

use crate::case::Case;
use crate::corpus::builders::{bare, expect, get, ok, status, with};
use crate::outcome::ErrorName::{Input, Origin, Timeout, Transport};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for variable in HTTP {
        cases.push(this_machine(variable, "a", "http://127.0.0.1:{a.port}"));
    }
    cases.push(this_machine("http_proxy", "a", "http://localhost:{a.port}"));
    cases.push(this_machine("http_proxy", "six", "http://[::1]:{six.port}"));
    for variable in HTTPS {
        cases.push(https_of_another_host(variable));
        cases.push(https_of_this_machine(variable));
    }
    for variable in HTTP {
        cases.push(http_of_another_host(variable));
    }
    for (variable, value) in EXCLUDED {
        cases.push(excluded(variable, value));
    }
    cases.push(http_that_is_not_allowed());
    cases
}

fn this_machine(variable: &str, server: &str, origin: &str) -> Case {
    through(variable, format!("{variable} is not used for {origin}"))
        .send(get(&format!("{origin}/data")))
        .server(server, [ok()])
        .expect(
            expect()
                .at(server, [with("token-1", "GET", "/data")])
                .ends_with(200, "fine"),
        )
}

/// The proxy sees the host and the port, and nothing else.
fn https_of_another_host(variable: &str) -> Case {
    let name = format!("{variable} shows no token of https://api.test");
    let connect = || bare("CONNECT", "").target("api.test:443");
    through(variable, name)
        .send(get("https://api.test/data"))
        .expect(expect().at("p", [connect()]).fails([Transport, Timeout]))
        // A session asks once more, to learn with which status the proxy refuses.
        .expect(
            expect()
                .at("p", [connect(), connect()])
                .fails([Transport, Timeout]),
        )
        // A client without proxies cannot resolve the name.
        .expect(expect().fails([Transport, Timeout]))
}

fn https_of_this_machine(variable: &str) -> Case {
    let case = through(
        variable,
        format!("{variable} shows no token of https://127.0.0.1"),
    )
    .send(get("{s}/data"))
    .server("s", [ok()]);
    let connect = || bare("CONNECT", "").target("127.0.0.1:{s.port}");
    case.expect(
        expect()
            .at("s", [with("token-1", "GET", "/data")])
            .ends_with(200, "fine"),
    )
    .expect(expect().at("p", [connect()]).fails([Transport, Timeout]))
    // A session asks once more, to learn with which status the proxy refuses.
    .expect(
        expect()
            .at("p", [connect(), connect()])
            .fails([Transport, Timeout]),
    )
}

/// The caller allowed it, so the proxy gets the token as every machine on the way does.
fn http_of_another_host(variable: &str) -> Case {
    through(
        variable,
        format!("{variable} is used for http://api.test if that is allowed"),
    )
    .client(|client| client.plain_http = vec!["http://api.test".to_owned()])
    .send(get("http://api.test/data"))
    .server("p", [ok()])
    .expect(
        expect()
            .at(
                "p",
                [with("token-1", "GET", "/data").header("host", "api.test")],
            )
            .ends_with(200, "fine"),
    )
}

fn http_that_is_not_allowed() -> Case {
    through(
        "http_proxy",
        "http_proxy gets no token of http://api.test".to_owned(),
    )
    .send(get("http://api.test/data"))
    .expect(expect().fails([Input, Origin]))
}

/// Without the proxy the name cannot be resolved.
fn excluded(variable: &str, value: &str) -> Case {
    through(
        "https_proxy",
        format!("{variable}={value} keeps https://api.test from the proxy"),
    )
    .client(|client| {
        let excluded = (variable.to_owned(), value.to_owned());
        client.environment.extend([excluded]);
    })
    .send(get("https://api.test/data"))
    .expect(expect().fails([Transport, Timeout]))
}

/// A case with the proxy `p`, which refuses everything.
fn through(variable: &str, name: String) -> Case {
    Case::new("proxies", "R1", name)
        .client(|client| {
            let proxy = (variable.to_owned(), "{p}".to_owned());
            client.environment.extend([proxy]);
            client.retry.attempts = 1;
            client.timeout_ms = 2000;
        })
        .always("p", status(403))
}

const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

const EXCLUDED: [(&str, &str); 5] = [
    ("no_proxy", "api.test"),
    ("NO_PROXY", "api.test"),
    ("no_proxy", "*"),
    ("no_proxy", ".test"),
    ("NO_PROXY", "other.test, api.test"),
];
