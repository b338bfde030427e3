//! Unexpected and missing requests fail the test. The others get their responses in order.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::client::{connect, get, post, request};

/// The message of the panic.
fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it should have panicked");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn responses_come_in_order() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(503).header("retry-after", "1"))
            .respond(ScriptedResponse::json(json!({"ok": true})))
            .times(2)
            .always(ScriptedResponse::status(404)),
    );
    let seen = [(); 5].map(|()| get(server.address(), "/data"));
    assert_eq!(
        seen.each_ref().map(|s| s.status()),
        [503, 200, 200, 404, 404]
    );
    assert_eq!(seen[0].header("retry-after").as_deref(), Some("1"));
    assert_eq!(seen[1].body(), br#"{"ok":true}"#);
    assert_eq!(
        seen[1].header("content-type").as_deref(),
        Some("application/json")
    );
    server.verify();
}

#[test]
fn the_first_expectation_with_a_response_left_responds() {
    let server = Server::start();
    server
        .expect(Expect::get("/a").respond(ScriptedResponse::text("first")))
        .expect(Expect::any().always(ScriptedResponse::text("rest")));
    let seen = [(); 3].map(|()| get(server.address(), "/a").body().to_vec());
    assert_eq!(seen, [&b"first"[..], b"rest", b"rest"]);
}

#[test]
fn conditions_choose_among_expectations() {
    let server = Server::start();
    server
        .expect(
            Expect::get("/a")
                .bearer("t-1")
                .always(ScriptedResponse::text("bearer")),
        )
        .expect(
            Expect::get("/a")
                .query("q", "a b")
                .always(ScriptedResponse::text("query")),
        )
        .expect(
            Expect::get("/a")
                .header("x-y", "z")
                .always(ScriptedResponse::text("header")),
        )
        .expect(
            Expect::get("/a")
                .without_header("cookie")
                .always(ScriptedResponse::text("bare")),
        )
        .expect(
            Expect::post("/a")
                .form("f", "ü")
                .always(ScriptedResponse::text("form")),
        )
        .expect(
            Expect::post("/a")
                .json(json!({"b": 1}))
                .always(ScriptedResponse::text("json")),
        )
        .expect(
            Expect::post("/a")
                .matching("a long body", |received| received.body_length > 20)
                .always(ScriptedResponse::text("long")),
        );
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let seen = request(server.address(), method, path, headers, body);
        String::from_utf8(seen.body().to_vec()).unwrap()
    };
    assert_eq!(
        ask("GET", "/a", &[("Authorization", "bearer t-1")], ""),
        "bearer"
    );
    assert_eq!(ask("GET", "/a?p=1&q=a+b", &[], ""), "query");
    assert_eq!(
        ask("GET", "/a", &[("X-Y", "z"), ("cookie", "c")], ""),
        "header"
    );
    assert_eq!(ask("GET", "/a?q=b", &[], ""), "bare");
    assert_eq!(ask("POST", "/a", &[], "e=1&f=%C3%BC"), "form");
    assert_eq!(ask("POST", "/a", &[], "{ \"b\": 1 }"), "json");
    assert_eq!(ask("POST", "/a", &[], &"x".repeat(21)), "long");
    server.verify();
}

#[test]
fn a_closure_sees_the_request() {
    let server = Server::start();
    server.expect(
        Expect::post("/echo")
            .respond_with(|received| ScriptedResponse::bytes(received.body.clone())),
    );
    assert_eq!(post(server.address(), "/echo", "ping").body(), b"ping");
}

#[test]
fn an_unexpected_request_gets_a_response_and_is_reported() {
    let server = Server::start();
    server.expect(Expect::get("/known").always(ScriptedResponse::status(200)));
    let seen = get(server.address(), "/other?secret=1");
    assert_eq!(seen.status(), 599);
    assert!(
        seen.text().contains("GET /other: nothing is expected"),
        "{seen:?}"
    );
    let report = panic_of(|| server.verify());
    assert!(
        report.contains("unexpected: GET /other: nothing"),
        "{report}"
    );
    assert!(!report.contains("secret"), "{report}");
}

#[test]
fn one_call_too_many_is_unexpected() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let seen = [(); 2].map(|()| get(server.address(), "/data").status());
    assert_eq!(seen, [200, 599]);
    let report = panic_of(|| server.verify());
    assert!(
        report.contains("all 1 expected requests arrived before"),
        "{report}"
    );
}

#[test]
fn the_report_names_the_condition_that_failed() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .bearer("new")
            .always(ScriptedResponse::status(200)),
    );
    get(server.address(), "/data");
    let report = panic_of(|| server.verify());
    assert!(
        report.contains("not as expected: bearer token new"),
        "{report}"
    );
}

#[test]
fn a_call_that_the_test_waited_for_is_not_missing() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::hang()));
    let mut stream = connect(server.address());
    stream
        .write_all(b"GET /data HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    server.wait_for_calls(1, Duration::from_secs(10));
    server.verify();
}

#[test]
fn a_missing_request_fails() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::status(200))
            .times(2),
    );
    server.expect(
        Expect::get("/some")
            .always(ScriptedResponse::status(200))
            .at_least(1),
    );
    get(server.address(), "/data");
    let report = panic_of(|| server.verify());
    assert!(
        report.contains("missing: GET /data: 1 of 2 arrived"),
        "{report}"
    );
    assert!(
        report.contains("missing: GET /some: 0 of 1 arrived"),
        "{report}"
    );
}

#[test]
fn dropping_an_unverified_server_verifies_it() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let report = panic_of(|| drop(server));
    assert!(report.contains("missing: GET /data"), "{report}");
}

#[test]
fn a_request_after_the_verification_still_fails() {
    let server = Server::start();
    server.verify();
    get(server.address(), "/late");
    let report = panic_of(|| drop(server));
    assert!(report.contains("unexpected: GET /late"), "{report}");
}

#[test]
fn a_panicking_test_does_not_panic_again() {
    let panic = panic_of(|| {
        let server = Server::start();
        server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
        panic!("{}", "the test's own panic");
    });
    assert_eq!(panic, "the test's own panic");
}

#[test]
fn a_panic_in_a_closure_fails_the_test() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond_with(|_| panic!("wrong body")));
    assert_eq!(get(server.address(), "/data").status(), 599);
    let report = panic_of(|| server.verify());
    assert!(
        report.contains("panicked: the closure for GET /data: wrong body"),
        "{report}"
    );
}

#[test]
#[should_panic(expected = "never used")]
fn a_response_after_always_is_refused() {
    let always = Expect::get("/data").always(ScriptedResponse::status(200));
    let _ = always.respond(ScriptedResponse::status(404));
}

#[test]
#[should_panic(expected = "GET /data: it has no response")]
fn an_expectation_without_a_response_is_refused() {
    Server::start().expect(Expect::get("/data"));
}
