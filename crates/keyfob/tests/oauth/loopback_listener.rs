//! The listener that receives the redirect of the browser on this machine.

use std::time::Duration;

use keyfob::{ErrorKind, reqwest};
use keyfob_testkit::{Expect, Gate, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sign_in::{SignIn, TOKEN, flow, server_has_calls, timed, token, visit};

#[tokio::test]
async fn the_port_is_free_again_afterwards() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).respond(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    let (address, back) = (sign_in.address(), sign_in.back("code=c0de"));
    visit(&back).await;
    sign_in.outcome().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_redirect_with_another_state_is_refused_and_the_sign_in_goes_on() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).form("code", "mine").respond(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    for stray in [
        "",
        "?code=theirs",
        "?code=theirs&state=other",
        "?error=access_denied&state=other",
    ] {
        let (status, page) = visit(format!("{}{stray}", sign_in.redirect_uri)).await;
        assert_eq!(status, 400, "{stray}");
        assert!(page.contains("belongs to another sign-in"), "{page}");
    }
    assert_eq!(server.calls(), 0);
    visit(sign_in.back("code=mine")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn a_second_redirect_changes_nothing() {
    let server = Server::start();
    let gate = Gate::default();
    server.expect(
        Expect::post(TOKEN)
            .form("code", "first")
            .respond(token().when(&gate)),
    );
    let sign_in = SignIn::begin(flow(&server)).await;
    let first = tokio::spawn(visit(sign_in.back("code=first")));
    server_has_calls(&server, 1).await;
    for second in ["code=first", "code=second", "error=access_denied"] {
        let (status, page) = visit(sign_in.back(second)).await;
        assert_eq!(status, 409, "{second}");
        assert!(page.contains("already in progress or complete"), "{page}");
    }
    gate.open();
    assert!(first.await.unwrap().1.contains("You are signed in"));
    sign_in.outcome().await.unwrap();
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = Server::start();
    let sign_in = SignIn::begin(flow(&server)).await;
    let root = sign_in.redirect_uri.replace("/callback", "");
    let state = sign_in.parameter("state");
    for path in [
        "/",
        "/favicon.ico",
        "/callback/",
        "/callback2",
        "//callback",
    ] {
        let (status, _) = visit(format!("{root}{path}?code=c&state={state}")).await;
        assert_eq!(status, 404, "{path}");
    }
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in [
        reqwest::Method::POST,
        reqwest::Method::HEAD,
        reqwest::Method::OPTIONS,
    ] {
        let request = browser.request(method, sign_in.back("code=c"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }
    assert_eq!(server.calls(), 0);
    assert!(!sign_in.waiting.is_finished());
}

#[tokio::test]
async fn slow_silent_or_broken_clients_do_not_delay_the_sign_in() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).respond(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    let mut open = Vec::new();
    for begun in [
        "",
        "GET /call",
        "GET /callback?code=c HTTP/1.1\r\nhost: a\r\n",
    ] {
        for _ in 0..5 {
            let mut slow = TcpStream::connect(sign_in.address()).await.unwrap();
            slow.write_all(begun.as_bytes()).await.unwrap();
            open.push(slow);
        }
    }
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\nhello\r\n\r\n",
    ] {
        let mut client = TcpStream::connect(sign_in.address()).await.unwrap();
        client.write_all(nonsense).await.unwrap();
        let response = until_closed(&mut client).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 400"),
            "{response}"
        );
    }
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn a_request_head_that_is_too_long_is_refused() {
    let server = Server::start();
    let sign_in = SignIn::begin(flow(&server)).await;
    for (kibibytes, refused) in [(8, false), (20, true)] {
        let mut client = TcpStream::connect(sign_in.address()).await.unwrap();
        let code = "x".repeat(kibibytes * 1024);
        let host = sign_in.address();
        let head = format!("GET /callback?code={code} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        // The server may have closed the connection before everything was written.
        _ = client.write_all(head.as_bytes()).await;
        let response = until_closed(&mut client).await;
        let was_read = response.starts_with("HTTP/1.1 400");
        assert_eq!(was_read, !refused, "{response}");
        let says_so = response.is_empty() || response.starts_with("HTTP/1.1 431");
        assert_eq!(says_so, refused, "{response}");
    }
    assert!(!sign_in.waiting.is_finished());
}

/// Everything that arrives until the connection ends in any way.
async fn until_closed(client: &mut TcpStream) -> String {
    let mut response = Vec::new();
    _ = client.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test]
async fn many_silent_connections_do_not_keep_the_browser_out() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).respond(token()));
    let sign_in = SignIn::begin(flow(&server)).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(sign_in.address()).await.unwrap());
    }
    // The oldest ones are closed long before their timeout, the others are not.
    let early = Duration::from_secs(10);
    let oldest = tokio::time::timeout(early, until_closed(&mut silent[0])).await;
    assert_eq!(oldest.as_deref(), Ok(""));
    let newest = silent.last_mut().unwrap();
    let open = tokio::time::timeout(Duration::from_millis(200), until_closed(newest)).await;
    assert!(open.is_err());
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await.unwrap();
}

#[tokio::test]
async fn a_request_for_another_host_is_refused() {
    let server = Server::start();
    let sign_in = SignIn::begin(flow(&server)).await;
    let (address, state) = (sign_in.address(), sign_in.parameter("state"));
    let port = address.port();
    let target = format!("/callback?state={state}&code=c0de");
    for head in [
        format!("GET {target} HTTP/1.1\r\nhost: evil.example:{port}\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nhost: evil.example\r\n\r\n"),
        format!("GET http://evil.example:{port}{target} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
        format!("GET {target} HTTP/1.0\r\n\r\n"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let response = until_closed(&mut client).await;
        assert!(response.contains(" 404 "), "{head}: {response}");
    }
    assert_eq!(server.calls(), 0);
    assert!(!sign_in.waiting.is_finished());
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_a_timeout() {
    let server = Server::start();
    let (clock, flow) = timed(&server);
    let sign_in = SignIn::begin(flow).await;
    let mut silent = TcpStream::connect(sign_in.address()).await.unwrap();
    clock.until_sleeping_for(Duration::from_secs(30)).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(until_closed(&mut silent).await, "");
    assert!(!sign_in.waiting.is_finished());
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let server = Server::start();
    let taken = server.address().port();
    let flow = flow(&server)
        .redirect_uri(format!("http://127.0.0.1:{taken}/back"))
        .unwrap();
    let error = flow.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains(&format!("port {taken}")),
        "{error}"
    );
}

#[tokio::test]
async fn the_other_loopback_address_works_as_well() {
    let server = Server::start();
    server.expect(Expect::post(TOKEN).respond(token()));
    let flow = flow(&server).redirect_uri("http://[::1]/back").unwrap();
    let sign_in = SignIn::begin(flow).await;
    assert!(sign_in.redirect_uri.starts_with("http://[::1]:"));
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await.unwrap();
}
