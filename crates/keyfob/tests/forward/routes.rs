//! Requests that go to a server with its token.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::proxy::{Proxied, ask, status};

#[test]
fn p8_a_stand_in_becomes_the_token_in_the_form_that_the_program_uses() {
    let proxied = Proxied::new(|builder, _| builder);
    let target = proxied.tls.address().to_string();
    let text = proxied.stand_in_tls.expose().to_owned();
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    for (sent, received) in [
        (None, "Bearer real-tls".to_owned()),
        (Some(format!("Bearer {text}")), "Bearer real-tls".to_owned()),
        (Some(format!("token {text}")), "token real-tls".to_owned()),
        (
            Some(basic(format!("git:{text}"))),
            basic("git:real-tls".to_owned()),
        ),
        (
            Some(basic(format!("{text}:x"))),
            basic("real-tls:x".to_owned()),
        ),
        (
            Some("Bearer of-the-program".to_owned()),
            "Bearer real-tls".to_owned(),
        ),
    ] {
        let mut inside = proxied.open(&target, "127.0.0.1").unwrap();
        let field = sent.map(|value| format!("authorization: {value}\r\n"));
        let head = format!(
            "GET /x HTTP/1.1\r\nhost: {target}\r\n{}\r\n",
            field.unwrap_or_default()
        );
        let answer = ask(&mut inside, &head);
        assert_eq!(status(&answer), 200, "{answer}");
        let last = proxied.tls.received().pop().unwrap();
        assert_eq!(last.authorization, Some(received));
        assert_eq!(last.line, "GET /x");
    }
}

#[test]
fn a_server_with_plain_http_is_reached_in_absolute_form_and_through_a_tunnel() {
    let proxied = Proxied::new(|builder, _| builder);
    let target = proxied.a.address();
    let credentials = proxied.credentials();
    let mut stream = proxied.connect();
    let head = format!(
        "GET http://{target}/x HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: {credentials}\r\n\r\n"
    );
    assert_eq!(status(&ask(&mut stream, &head)), 200);
    let mut stream = proxied.connect();
    let head = format!("CONNECT {target} HTTP/1.1\r\nproxy-authorization: {credentials}\r\n\r\n");
    assert_eq!(status(&ask(&mut stream, &head)), 200);
    let head = format!("GET /x HTTP/1.1\r\nhost: {target}\r\n\r\n");
    assert_eq!(status(&ask(&mut stream, &head)), 200);
    for request in proxied.a.received() {
        assert_eq!(request.header("authorization"), Some("Bearer real-a"));
        assert_eq!(request.header("proxy-authorization"), None);
    }
}

#[test]
fn an_allowed_host_is_reached_without_a_token() {
    let proxied = Proxied::new(|builder, port| builder.allow_host(format!("127.0.0.1:{port}")));
    let target = proxied.other.local_addr().unwrap();
    let credentials = proxied.credentials();
    let mut stream = proxied.connect();
    let head = format!("CONNECT {target} HTTP/1.1\r\nproxy-authorization: {credentials}\r\n\r\n");
    assert_eq!(status(&ask(&mut stream, &head)), 200);
    assert!(proxied.other.accept().is_ok());
}

#[test]
fn a_stand_in_can_be_required() {
    let proxied = Proxied::new(|builder, _| builder.require_stand_in());
    let target = proxied.a.address();
    let credentials = proxied.credentials();
    let head = format!(
        "GET http://{target}/x HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: {credentials}\r\n"
    );
    let answer = ask(&mut proxied.connect(), &format!("{head}\r\n"));
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(answer.contains("www-authenticate: Basic"), "{answer}");
    let field = format!("authorization: token {}\r\n", proxied.stand_in_a.expose());
    let answer = ask(&mut proxied.connect(), &format!("{head}{field}\r\n"));
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(proxied.received(), 1);
}

#[test]
fn p7_a_drain_waits_for_tunnels_and_cuts_them_off_after_the_timeout() {
    for ends_by_itself in [true, false] {
        let proxied = Proxied::new(|builder, port| builder.allow_host(format!("127.0.0.1:{port}")));
        let target = proxied.other.local_addr().unwrap();
        let credentials = proxied.credentials();
        let mut stream = proxied.connect();
        let head =
            format!("CONNECT {target} HTTP/1.1\r\nproxy-authorization: {credentials}\r\n\r\n");
        assert_eq!(status(&ask(&mut stream, &head)), 200);
        let mut server = proxied.other.accept().unwrap().0;
        // A connection to a bound server, which no request uses, ends at once.
        let tls = proxied.tls.address().to_string();
        let mut inside = proxied.open(&tls, "127.0.0.1").unwrap();
        assert_eq!(
            status(&ask(
                &mut inside,
                &format!("GET / HTTP/1.1\r\nhost: {tls}\r\n\r\n")
            )),
            200
        );

        let draining = proxied.runtime.spawn({
            let stop = Arc::clone(&proxied.stop);
            let timeout = if ends_by_itself { LONG } else { SHORT };
            async move { stop.drain(timeout).await }
        });
        assert!(has_ended(&mut inside));
        server.write_all(b"still").unwrap();
        let mut still = [0; 5];
        stream.read_exact(&mut still).unwrap();
        assert!(!draining.is_finished());
        if ends_by_itself {
            drop((stream, server));
        } else {
            assert!(has_ended(&mut stream));
        }
        assert_eq!(proxied.runtime.block_on(draining).unwrap(), ends_by_itself);
    }
}

/// Whether the other side closes a connection before the timeout of its reads.
fn has_ended(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

const LONG: Duration = Duration::from_secs(20);
/// Longer than the bytes need that are sent before it ends.
const SHORT: Duration = Duration::from_secs(2);
