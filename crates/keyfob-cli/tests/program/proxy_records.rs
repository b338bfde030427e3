//! What `keyfob proxy` counts and logs of requests that end in an unusual way, and what it keeps from clients.

use std::io::Write;
use std::os::unix::net::UnixStream;

use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::proxy::{Proxy, ask_at, get, profile};
use crate::proxy_admission::upstream;
use crate::proxy_service::gated;
use crate::waiting::{TIMEOUT, wait_until};

/// The lines of the access log on standard output, when there are as many.
fn lines(proxy: &Proxy, count: usize) -> Vec<serde_json::Value> {
    wait_until("the lines are written", || {
        let text = proxy.stdout();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn p7_a_client_that_leaves_is_counted_and_logged_with_its_route() {
    let (server, _gate) = gated();
    let arguments = ["api", "--access-log=-", "--status-listen=127.0.0.1:0"];
    let proxy = Proxy::start(&arguments, &profile(&server));
    let mut client = UnixStream::connect(proxy.socket()).expect("it listens");
    client
        .write_all(get("/slow", "").as_bytes())
        .expect("it reads");
    server.wait_for_calls(1, TIMEOUT);
    drop(client);
    let line = lines(&proxy, 1).swap_remove(0);
    assert_eq!(
        (&line["route"], &line["status"], &line["error"]),
        (&json!("api"), &json!(null), &json!("aborted"))
    );
    let status = proxy.status_address();
    let metrics = ask_at(&status, &get("/metrics", "").replace("localhost", &status)).0;
    let counted = "keyfob_proxy_requests_total{route=\"api\",status=\"aborted\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn p7_a_response_of_the_proxy_to_head_is_logged_with_its_cause() {
    let server = upstream();
    let arguments = ["api", "--access-log=-", "--listen=127.0.0.1:0"];
    let proxy = Proxy::start(&arguments, &profile(&server));
    let head = |path: &str, secret: &str| {
        let request = get(path, &format!("Connection: close\r\n{secret}"));
        let request = request.replacen("GET", "HEAD", 1);
        let request = request.replace("localhost", &proxy.address());
        proxy.over_tcp(&request).status()
    };
    let secret = format!("Keyfob-Client-Secret: {}\r\n", proxy.secret());
    assert_eq!(head("/x", ""), 401);
    assert_eq!(head("/x/../y", &secret), 400);
    let lines = lines(&proxy, 2);
    assert_eq!(lines[0]["error"], "no_secret", "{lines:?}");
    assert_ne!(lines[1]["error"], "aborted", "{lines:?}");
}

#[test]
fn p7_a_line_of_the_log_has_a_bounded_length() {
    let server = upstream();
    let proxy = Proxy::start(&["api", "--access-log=-"], &profile(&server));
    let method = "M".repeat(10_000);
    let request = get(
        "/x",
        "Connection: close\r\nOrigin: https://evil.example\r\n",
    );
    let response = proxy.over_socket(&request.replacen("GET", &method, 1));
    assert_eq!(response.status(), 403, "{response:?}");
    let line = lines(&proxy, 1).swap_remove(0);
    let logged = line["method"].as_str().expect("it is text");
    assert!(
        logged.starts_with("MMM") && logged.len() < 100,
        "{} bytes",
        logged.len()
    );
}

#[test]
fn p4_no_cors_field_of_the_upstream_reaches_the_client() {
    let server = Server::start();
    let mut response = ScriptedResponse::text("done").header("x-other", "stays");
    for name in [
        "allow-credentials",
        "allow-headers",
        "allow-methods",
        "allow-private-network",
        "expose-headers",
        "max-age",
    ] {
        response = response.header(&format!("access-control-{name}"), "1");
    }
    server.expect(Expect::get("/without-origin").respond(response.clone()));
    let with_origin = response.header("access-control-allow-origin", "*");
    server.expect(Expect::get("/with-origin").respond(with_origin));
    let proxy = Proxy::start(&["api"], &profile(&server));
    for path in ["/without-origin", "/with-origin"] {
        let response = proxy.over_socket(&get(path, ""));
        assert!(
            !response.0.contains("access-control-"),
            "{path}: {response:?}"
        );
        assert!(response.0.contains("x-other: stays"), "{response:?}");
    }
}
