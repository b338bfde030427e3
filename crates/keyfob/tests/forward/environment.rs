//! Allowed servers that are reached through the proxy of the environment.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::own_process::run_alone;
use crate::proxy::{Proxied, ask, status};

/// What a process of its own does in its environment.
const IS_CHILD: &str = "KEYFOB_TEST_CHILD";

#[test]
fn p8_an_allowed_host_is_reached_through_the_proxy_of_the_environment() {
    let outer = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:pass@{}", outer.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = outer.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(b"from db.test\r\n\r\n").unwrap();
        (
            String::from_utf8(head).unwrap(),
            String::from_utf8(question.to_vec()).unwrap(),
        )
    });
    let environment = [
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "direct.test"),
        (IS_CHILD, "1"),
    ];
    run_alone("environment::programs_with_allowed_hosts", &environment);
    let (head, question) = serving.join().unwrap();
    assert!(head.starts_with("CONNECT db.test:8443 HTTP/1.1\r\n"));
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
    assert_eq!(question, "question");
}

#[test]
#[ignore = "runs in a process of its own, with another environment"]
fn programs_with_allowed_hosts() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let proxied =
        Proxied::new(|builder, _| builder.allow_host("db.test:8443").allow_host("direct.test"));
    let credentials = proxied.credentials();
    let connect = |target: &str| {
        let mut stream = proxied.connect();
        let head =
            format!("CONNECT {target} HTTP/1.1\r\nproxy-authorization: {credentials}\r\n\r\n");
        let answer = ask(&mut stream, &head);
        (status(&answer), stream)
    };
    let (opened, mut stream) = connect("db.test:8443");
    assert_eq!(opened, 200);
    let answer = ask(&mut stream, "question");
    assert!(answer.starts_with("from db.test"), "{answer}");
    // A name that cannot be resolved here, and one that was not allowed, although the proxy would reach both.
    assert_eq!(connect("direct.test:443").0, 502);
    assert_eq!(connect("other.test:443").0, 403);
}
