//! Connections that change to another protocol (P5).

use crate::fixtures::{LONG, RawUpstream, Running, route};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

const WEBSOCKET: &str = "GET /ws HTTP/1.1\r\nHost: p\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer clients\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=b\r\n\r\n";

#[tokio::test]
async fn p5_an_upgraded_connection_passes_bytes_both_ways() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let mut client = proxy.connect().await;
    client.send(WEBSOCKET).await;
    let mut server = upstream.accept().await;
    let request = server.read_until("\r\n\r\n").await.to_lowercase();
    for line in [
        "get /ws http/1.1",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "authorization: bearer one",
    ] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
    // The first bytes come with the head.
    server.send(format!("{SWITCHED}\u{1}first")).await;
    let head = client.read_until("\r\n\r\n").await.to_lowercase();
    assert!(
        head.starts_with("http/1.1 101 switching protocols\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nsec-websocket-accept: "),
        "{head}"
    );
    assert!(!head.contains("set-cookie"), "{head}");
    client.read_until("\u{1}first").await;
    // Bytes that are not HTTP, and those that would be refused in HTTP.
    client.send(b"\x81\0GET / HTTP/1.1\n\n\xff end").await;
    let mut bytes = [0; 23];
    timeout(LONG, server.0.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        &bytes,
        b"\x81\0GET / HTTP/1.1\n\n\xff end"
            .as_slice()
            .first_chunk::<23>()
            .unwrap()
    );
    drop(server);
    client.read_to_end().await;
}

#[tokio::test]
async fn p6_an_upgrade_that_is_rejected_with_401_is_sent_again() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let (mut client, mut server) = proxy.pass_head(&upstream, WEBSOCKET).await;
    server
        .send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await;
    let mut server = upstream.accept().await;
    let request = server.read_until("\r\n\r\n").await;
    assert!(
        request.contains("\r\nauthorization: Bearer two\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nupgrade: websocket\r\n"), "{request}");
    server.send(SWITCHED).await;
    client.read_until("\r\n\r\n").await;
    client.send("ping").await;
    server.read_until("ping").await;
    drop(client);
    assert_eq!(server.read_to_end().await, "");
}

#[tokio::test]
async fn p5_an_upgrade_that_is_declined_leaves_the_connection_usable() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let (mut client, mut server) = proxy.pass_head(&upstream, WEBSOCKET).await;
    server
        .send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        .await;
    assert!(client.read_message().await.ends_with("\r\n\r\nno"));
    client.send("GET /next HTTP/1.1\r\nHost: p\r\n\r\n").await;
    let mut server = upstream.accept().await;
    assert!(
        server
            .read_until("\r\n\r\n")
            .await
            .starts_with("GET /next ")
    );
}

#[tokio::test]
async fn p5_a_switch_that_nobody_asked_for_is_an_error() {
    let upstream = RawUpstream::start().await;
    let url = upstream.url("/");
    upstream.answer(SWITCHED);
    let proxy = Running::route(route(url).build().unwrap()).await;
    let response = proxy.get("/").await;
    assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
}
