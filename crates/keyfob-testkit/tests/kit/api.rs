//! A protected API accepts valid tokens, and fails as scripted.

use std::io::{BufRead, BufReader, Write};

use keyfob_testkit::{Api, Issuer, ScriptedResponse};

use crate::client::{Seen, connect, request};

fn ask(api: &Api, authorization: &str) -> Seen {
    let headers = [("authorization", authorization)];
    request(api.server().address(), "GET", "/things", &headers, "")
}

#[test]
fn a_valid_token_is_accepted() {
    let api = Api::start(Issuer::new());
    let token = api.issuer().issue().token;
    let seen = ask(&api, &format!("Bearer {token}"));
    assert_eq!(seen.status(), 200);
    assert_eq!(seen.body(), br#"{"path":"/things","request":1}"#);
}

#[test]
fn an_invalid_token_gets_a_401_that_says_so() {
    let api = Api::start(Issuer::new());
    let token = api.issuer().issue().token;
    api.issuer().revoke_current();
    let seen = ask(&api, &format!("Bearer {token}"));
    assert_eq!(seen.status(), 401);
    let challenge = seen.header("www-authenticate");
    assert_eq!(challenge.as_deref(), Some("Bearer error=\"invalid_token\""));
}

#[test]
fn a_request_without_a_token_gets_a_plain_challenge() {
    let api = Api::start(Issuer::new());
    let seen = ask(&api, "Basic dTpw");
    assert_eq!(seen.status(), 401);
    assert_eq!(seen.header("www-authenticate").as_deref(), Some("Bearer"));
}

#[test]
fn every_nth_request_gets_the_fault() {
    let api = Api::start(Issuer::new());
    let bearer = format!("Bearer {}", api.issuer().issue().token);
    api.every(3, ScriptedResponse::unavailable())
        .every(2, ScriptedResponse::reset());
    let seen = [(); 6].map(|()| ask(&api, &bearer));
    let resets = seen.each_ref().map(Seen::was_reset);
    assert_eq!(resets, [false, true, false, true, false, false]);
    assert_eq!(api.counts(), [(200, 2), (503, 2)].into());
    assert_eq!((api.count(503), api.count(401)), (2, 0));
    assert_eq!((api.requests(), api.faults()), (6, 2));
}

#[test]
fn the_next_response_has_priority_over_all_rules() {
    let api = Api::start(Issuer::new());
    api.every(1, ScriptedResponse::unavailable());
    api.next(ScriptedResponse::too_many_requests("7"));
    let seen = ask(&api, "Bearer none");
    assert_eq!(seen.status(), 429);
    assert_eq!(seen.header("retry-after").as_deref(), Some("7"));
    assert_eq!(ask(&api, "Bearer none").status(), 503);
}

#[test]
fn a_closure_responds_to_requests_with_a_valid_token() {
    let api = Api::start(Issuer::new());
    let bearer = format!("Bearer {}", api.issuer().issue().token);
    api.respond_with(|received| ScriptedResponse::text(received.path.clone()));
    assert_eq!(ask(&api, &bearer).body(), b"/things");
    assert_eq!(ask(&api, "Bearer none").status(), 401);
}

#[test]
fn many_requests_on_one_connection_all_get_a_response() {
    let api = Api::start(Issuer::new());
    let token = api.issuer().issue().token;
    let get = format!("GET /n HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\r\n");
    let mut stream = BufReader::new(connect(api.server().address()));
    for _ in 0..2_000 {
        stream.get_mut().write_all(get.as_bytes()).unwrap();
        skip_response(&mut stream);
    }
    assert_eq!(api.count(200), 2_000);
    assert_eq!(api.server().received().len(), Api::REQUEST_LIMIT);
    assert_eq!(api.server().connections(), 1);
}

fn skip_response(stream: &mut impl BufRead) {
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
}
