use std::io::{Read, Write};
use std::net::TcpStream;

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use super::*;
use crate::corpus::corpus;
use crate::outcome::ErrorName;

/// What a server receives of these requests, each with a head of its own.
fn received(heads: &[&str]) -> Vec<Received> {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::status(200)));
    for head in heads {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "{head}\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    server.received()
}

/// A case in which `a` redirects to `b`, which gets no token.
fn case() -> Case {
    let mut corpus = corpus().into_iter();
    let title = "redirects: 302 to another port of a GET";
    corpus.find(|case| case.title() == title).unwrap()
}

fn found(a: &[&str], b: &[&str], got: CallerGot) -> Differences {
    let arrived = [("a", a), ("b", b)].map(|(name, heads)| (name.to_owned(), received(heads)));
    let outcome = Outcome {
        results: vec![got],
        fetches: Some(1),
    };
    judge(&case(), &arrived.into(), &outcome)
}

fn fine() -> CallerGot {
    CallerGot {
        status: Some(200),
        body: Some("fine".to_owned()),
        ..CallerGot::default()
    }
}

const AT_A: &str = "GET /start HTTP/1.1\r\nauthorization: Bearer token-1";
const AT_B: &str = "GET /there HTTP/1.1";

#[test]
fn what_is_expected_makes_no_difference() {
    assert_eq!(found(&[AT_A], &[AT_B], fine()), Differences::default());
}

#[test]
fn a_token_where_none_may_be_is_a_leak() {
    for field in ["authorization: Bearer token-1", "x-odd: token-2"] {
        let with = format!("{AT_B}\r\n{field}");
        let found = found(&[AT_A], &[&with], fine());
        assert_eq!((found.leaks.len(), found.others.len()), (1, 0), "{found:?}");
    }
}

#[test]
fn a_token_in_an_error_is_a_leak() {
    let got = CallerGot {
        error: Some(ErrorName::Transport),
        text: Some("token-1 was refused".to_owned()),
        ..CallerGot::default()
    };
    assert_eq!(found(&[AT_A], &[AT_B], got).leaks.len(), 1);
}

#[test]
fn missing_further_and_other_requests_make_a_difference() {
    let other = "GET /start HTTP/1.1\r\nauthorization: Bearer token-2";
    let posted = "POST /there HTTP/1.1";
    for (a, b) in [
        (&[][..], &[AT_B][..]),
        (&[AT_A, AT_A], &[AT_B]),
        (&[other], &[AT_B]),
        (&[AT_A], &[posted]),
    ] {
        let found = found(a, b, fine());
        assert!(
            found.leaks.is_empty() && !found.others.is_empty(),
            "{found:?}"
        );
    }
}

#[test]
fn another_status_body_or_error_makes_a_difference() {
    let status = CallerGot {
        status: Some(404),
        ..fine()
    };
    let body = CallerGot {
        body: Some("fin".to_owned()),
        ..fine()
    };
    let error = CallerGot {
        error: Some(ErrorName::Transport),
        ..fine()
    };
    for got in [status, body, error] {
        assert_eq!(found(&[AT_A], &[AT_B], got).others.len(), 1);
    }
}
