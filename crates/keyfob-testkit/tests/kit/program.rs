//! The program `keyfob-testkit`, which tests in other languages use.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use keyfob_testkit::{checksum, json};
use serde_json::Value;

use crate::client::{Seen, connect, get, post, request};

/// The program while it runs.
struct Program {
    child: Child,
    places: Value,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyfob-testkit"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let places = serde_json::from_str(&line).unwrap();
        Self { child, places }
    }

    fn address(&self, place: &str) -> SocketAddr {
        let url = self.places[place].as_str().expect("a URL");
        let authority = url.strip_prefix("http://").expect("plain HTTP");
        let (address, _) = authority.split_once('/').unwrap_or((authority, ""));
        address.parse().unwrap()
    }

    fn token(&self) -> Value {
        let seen = post(
            self.address("token_url"),
            "/token",
            "grant_type=client_credentials",
        );
        json_of(&seen)
    }

    fn ask(&self, token: &str, body: &str) -> Seen {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        request(
            self.address("api_url"),
            "POST",
            "/things?n=1",
            &headers,
            body,
        )
    }

    fn tell(&self, path: &str, body: &Value) -> Seen {
        post(self.address("control_url"), path, &body.to_string())
    }

    fn see(&self, path: &str) -> Value {
        json_of(&get(self.address("control_url"), path))
    }

    /// Closes its standard input, and returns whether it ended well.
    fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has already ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json_of(seen: &Seen) -> Value {
    assert_eq!(seen.status(), 200, "{}", seen.text());
    serde_json::from_slice(seen.body()).unwrap()
}

#[test]
fn the_program_ends_when_its_standard_input_ends() {
    assert!(Program::start(&[]).end());
}

#[test]
fn a_waiting_client_does_not_keep_the_program_alive() {
    let program = Program::start(&[]);
    program.tell("/next", &json!({"fault": "hang"}));
    let mut client = connect(program.address("api_url"));
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    while program.see("/counts")["faults"] == 0 {}
    assert!(program.end());
}

#[test]
fn a_token_is_accepted_until_it_is_revoked() {
    let program = Program::start(&["--lifetime", "60"]);
    let issued = program.token();
    assert_eq!(issued["access_token"], "token-1");
    assert_eq!(issued["expires_in"], 60);
    assert_eq!(program.ask("token-1", "").status(), 200);
    let revoked = json_of(&program.tell("/revoke", &Value::Null));
    assert_eq!(revoked, json!({"revoked": "token-1"}));
    assert_eq!(program.ask("token-1", "").status(), 401);
    let revoked = json_of(&program.tell("/revoke", &Value::Null));
    assert_eq!(revoked, json!({"revoked": null}));
    let counts = json!({
        "token_requests": 1,
        "tokens": 1,
        "requests": 2,
        "statuses": {"200": 1, "401": 1},
        "faults": 0,
        "connections": 2,
    });
    assert_eq!(program.see("/counts"), counts);
}

#[test]
fn an_accepted_request_gets_back_what_was_received() {
    let program = Program::start(&[]);
    program.token();
    let echo = json_of(&program.ask("token-1", "grüße"));
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["path"], "/things");
    assert_eq!(echo["query"], "n=1");
    let headers = &echo["headers"];
    assert_eq!(headers["authorization"], json!(["Bearer token-1"]));
    assert_eq!(echo["body"], "grüße");
    assert_eq!(echo["body_length"], 7);
    let expected = checksum(["grüße".as_bytes()]);
    assert_eq!(echo["checksum"], format!("{expected:016x}"));
    assert_eq!(program.see("/received"), json!([echo]));
}

#[test]
fn a_body_that_is_too_large_to_keep_is_reported_by_its_checksum() {
    let program = Program::start(&[]);
    program.token();
    let body = "x".repeat((64 << 10) + 1);
    let echo = json_of(&program.ask("token-1", &body));
    assert_eq!(echo["body"], Value::Null);
    assert_eq!(echo["body_length"], body.len());
    let expected = checksum([body.as_bytes()]);
    assert_eq!(echo["checksum"], format!("{expected:016x}"));
}

#[test]
fn the_next_responses_are_as_scripted() {
    let program = Program::start(&["--every", "1=418"]);
    let busy = json!({"status": 429, "headers": {"retry-after": "7"}, "times": 2});
    assert_eq!(program.tell("/next", &busy).status(), 200);
    program.tell("/next", &json!({"fault": "reset"}));
    for _ in 0..2 {
        let seen = program.ask("none", "");
        assert_eq!(seen.status(), 429);
        assert_eq!(seen.header("retry-after").as_deref(), Some("7"));
    }
    assert!(program.ask("none", "").was_reset());
    assert_eq!(program.ask("none", "").status(), 418);
    let counts = program.see("/counts");
    assert_eq!(counts["statuses"], json!({"418": 1, "429": 2}));
    assert_eq!(counts["faults"], 1);
}

#[test]
fn the_token_endpoint_fails_as_scripted_and_then_issues_again() {
    let program = Program::start(&["--issuing-takes", "0.001"]);
    let refusal = json!({"status": 400, "body": {"json": {"error": "invalid_grant"}}});
    program.tell("/next-token", &refusal);
    let seen = get(program.address("token_url"), "/token");
    assert_eq!(seen.status(), 405);
    let seen = post(
        program.address("token_url"),
        "/token",
        "grant_type=password",
    );
    assert_eq!(seen.status(), 400);
    assert_eq!(seen.body(), br#"{"error":"invalid_grant"}"#);
    assert_eq!(program.token()["access_token"], "token-1");
}

#[test]
fn a_held_response_waits_for_its_release() {
    let program = Program::start(&[]);
    program.tell("/next-token", &json!({"held": true}));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| program.token());
        while program.see("/counts")["tokens"] == 0 {}
        assert!(!waiting.is_finished());
        program.tell("/release", &Value::Null);
        assert_eq!(waiting.join().unwrap()["access_token"], "token-1");
    });
}

#[test]
fn an_invalid_control_request_is_refused_with_the_reason() {
    let program = Program::start(&[]);
    let seen = program.tell("/next", &json!({"status": 99}));
    assert_eq!(seen.status(), 400);
    assert_eq!(seen.body(), b"99 is not a status from 200 to 999");
    assert_eq!(program.tell("/nxt", &Value::Null).status(), 404);
}
