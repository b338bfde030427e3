//! Bodies pass as they come, in both directions (P5).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::fixtures::{LONG, RawStream, RawUpstream, Running, SILENCE, route};

/// A proxy in front of an upstream that is steered by hand.
async fn pair() -> (Running, RawUpstream) {
    let upstream = RawUpstream::start().await;
    let route = route(upstream.url("/")).timeout(SHORT);
    (Running::route(route.build().unwrap()).await, upstream)
}

const SHORT: Duration = Duration::from_millis(500);

const CHUNKED: &str = "POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn p5_each_event_passes_at_once_and_a_quiet_stream_goes_on() {
    let (proxy, upstream) = pair().await;
    let (mut client, mut server) = proxy
        .pass_head(&upstream, "GET /events HTTP/1.1\r\nHost: p\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.read_until("\r\n\r\n").await;
    for _ in 0..3 {
        server.send("9\r\ndata: 1\n\n\r\n").await;
        client.read_until("data: 1\n\n\r\n").await;
        is_silent(&mut client, SHORT * 2).await;
    }
    server.send("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn p5_a_request_body_passes_while_it_arrives() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    client.send(CHUNKED).await;
    let mut server = upstream.accept().await;
    let head = server.read_until("\r\n\r\n").await;
    assert!(
        head.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{head}"
    );
    // Longer than the timeout in all, but never silent for as long.
    for _ in 0..8 {
        client.send("3\r\nabc\r\n").await;
        server.read_until("3\r\nabc\r\n").await;
        is_silent(&mut client, SHORT / 4).await;
    }
    client.send("0\r\n\r\n").await;
    server.read_until("0\r\n\r\n").await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert!(client.read_message().await.ends_with("\r\n\r\nok"));
}

#[tokio::test]
async fn p5_an_upload_that_does_not_move_times_out() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    client.send(format!("{CHUNKED}3\r\nabc\r\n")).await;
    let mut server = upstream.accept().await;
    server.read_until("3\r\nabc\r\n").await;
    let response = client.read_until("}").await;
    assert!(response.starts_with("HTTP/1.1 504 "), "{response}");
}

#[tokio::test]
async fn p5_an_early_response_reaches_a_client_that_still_sends() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    client.send(format!("{CHUNKED}3\r\nabc\r\n")).await;
    let mut server = upstream.accept().await;
    server.read_until("3\r\nabc\r\n").await;
    server
        .send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        .await;
    let response = client.read_message().await;
    assert!(
        response.starts_with("HTTP/1.1 413 ") && response.ends_with("big"),
        "{response}"
    );
}

#[tokio::test]
async fn p5_a_client_that_leaves_ends_the_request_upstream() {
    for answered in [false, true] {
        let (proxy, upstream) = pair().await;
        let (mut client, mut server) = proxy
            .pass_head(&upstream, "GET /x HTTP/1.1\r\nHost: p\r\n\r\n")
            .await;
        if answered {
            server
                .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
                .await;
            client.read_until("\r\n1\r\na\r\n").await;
        }
        drop(client);
        let mut rest = Vec::new();
        let end = timeout(LONG, server.0.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "answered: {answered}");
    }
}

#[tokio::test]
async fn p5_a_client_that_leaves_in_its_upload_ends_the_request_upstream() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    client.send(format!("{CHUNKED}3\r\nabc\r\n")).await;
    let mut server = upstream.accept().await;
    server.read_until("3\r\nabc\r\n").await;
    drop(client);
    let mut rest = Vec::new();
    let _ = timeout(LONG, server.0.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, b"", "the body does not seem to be whole");
    assert!(upstream.is_left_alone().await, "nothing is sent again");
}

#[tokio::test]
async fn p5_a_response_that_breaks_off_upstream_breaks_off_for_the_client() {
    for head in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        let (proxy, upstream) = pair().await;
        let (mut client, mut server) = proxy
            .pass_head(&upstream, "GET /x HTTP/1.1\r\nHost: p\r\n\r\n")
            .await;
        server
            .send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n1\r\na\r\n"))
            .await;
        client.read_until("a\r\n").await;
        drop(server);
        let rest = client.read_to_end().await;
        assert_eq!(rest, "", "{head}: no last chunk, and no other response");
    }
}

#[tokio::test]
async fn p5_the_client_is_asked_to_continue_when_the_upstream_asks() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    let head = "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await;
    let mut server = upstream.accept().await;
    let seen = server.read_until("\r\n\r\n").await;
    assert!(seen.contains("\r\nexpect: 100-continue\r\n"), "{seen}");
    is_silent(&mut client, SILENCE).await;
    server.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("abc").await;
    server.read_until("abc").await;
    server
        .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(
        client
            .read_message()
            .await
            .starts_with("HTTP/1.1 201 Created\r\n")
    );
}

#[tokio::test]
async fn p5_a_final_response_in_place_of_100_leaves_the_body_with_the_client() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    let head = "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
    client.send(head).await;
    let mut server = upstream.accept().await;
    server.read_until("\r\n\r\n").await;
    server
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .await;
    let response = client.read_message().await;
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
}

#[tokio::test]
async fn p5_an_upstream_that_knows_no_100_gets_the_body_after_a_while() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let (mut client, mut server) = proxy
        .pass_head(
            &upstream,
            "PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("abc").await;
    server.read_until("abc").await;
}

#[tokio::test]
async fn p1_the_client_is_not_asked_to_continue_without_a_token() {
    let upstream = RawUpstream::start().await;
    let tokens = keyfob::TokenCache::new(keyfob::hook_blocking(|_| {
        Err::<&str, _>(keyfob::Error::unavailable("down"))
    }));
    let route = keyfob::proxy::Route::new("api", upstream.url("/"), tokens).unwrap();
    let proxy = Running::route(route).await;
    let mut client = proxy.connect().await;
    client
        .send("PUT /x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let response = client.read_until("}").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(upstream.is_left_alone().await);
}

#[tokio::test]
async fn p5_responses_without_a_body_pass_as_they_are() {
    for (method, status, fields) in [
        ("HEAD", "200 OK", "Content-Length: 1234"),
        ("HEAD", "200 OK", "Transfer-Encoding: chunked"),
        ("GET", "204 No Content", "X: y"),
        ("GET", "304 Not Modified", "ETag: \"x\""),
        ("GET", "205 Reset Content", "Content-Length: 0"),
    ] {
        let (proxy, upstream) = pair().await;
        let (mut client, mut server) = proxy
            .pass_head(
                &upstream,
                &format!("{method} /x HTTP/1.1\r\nHost: p\r\n\r\n"),
            )
            .await;
        server
            .send(format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n"))
            .await;
        let head = client.read_until("\r\n\r\n").await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{head}"
        );
        let is_kept = !fields.starts_with("Transfer-Encoding");
        assert_eq!(
            head.to_lowercase().contains(&fields.to_lowercase()),
            is_kept,
            "{head}"
        );
        is_silent(&mut client, SILENCE).await;
        // The connections are usable.
        client.send("GET /y HTTP/1.1\r\nHost: p\r\n\r\n").await;
        let next = timeout(LONG, async {
            tokio::select! {
                head = server.read_until("\r\n\r\n") => head,
                mut other = upstream.accept() => other.read_until("\r\n\r\n").await,
            }
        });
        assert!(
            next.await.unwrap().starts_with("GET /y "),
            "{method} {status}"
        );
    }
}

#[tokio::test]
async fn p5_a_body_that_is_unusual_for_its_method_passes() {
    for (method, framing, body) in [
        ("GET", "Content-Length: 3", "abc"),
        ("GET", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
        (
            "DELETE",
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        ("OPTIONS", "Content-Length: 3", "abc"),
    ] {
        let (proxy, upstream) = pair().await;
        let mut client = proxy.connect().await;
        client
            .send(format!(
                "{method} /x HTTP/1.1\r\nHost: p\r\n{framing}\r\n\r\n{body}"
            ))
            .await;
        let mut server = upstream.accept().await;
        let request = server.read_until(body).await;
        assert!(
            request.contains(&format!("\r\n{}\r\n", framing.to_lowercase())),
            "{request}"
        );
    }
}

#[tokio::test]
async fn p5_a_slow_client_slows_the_upstream_down() {
    let (proxy, upstream) = pair().await;
    let (_client, mut server) = proxy
        .pass_head(&upstream, "GET /x HTTP/1.1\r\nHost: p\r\n\r\n")
        .await;
    server
        .send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        .await;
    assert!(taken(&mut server).await < BUFFERS);
}

#[tokio::test]
async fn p5_a_slow_upstream_slows_the_client_down() {
    let (proxy, upstream) = pair().await;
    let mut client = proxy.connect().await;
    client
        .send("POST /x HTTP/1.1\r\nHost: p\r\nContent-Length: 99999999999\r\n\r\n")
        .await;
    let _server = upstream.accept().await;
    assert!(taken(&mut client).await < BUFFERS);
}

/// How many bytes the other side takes until it takes no more for a while.
async fn taken(stream: &mut RawStream) -> usize {
    let part = vec![b'x'; 64 * 1024];
    let mut taken = 0;
    while let Ok(written) = timeout(SILENCE, stream.0.write(&part)).await {
        taken += written.unwrap();
        assert!(taken < 2 * BUFFERS, "it has no bound");
    }
    taken
}

/// The buffers of the kernel on both connections, and those of the proxy.
const BUFFERS: usize = 24 * 1024 * 1024;

async fn is_silent(stream: &mut RawStream, time: Duration) {
    let mut byte = [0];
    let read = timeout(time, stream.0.read(&mut byte)).await;
    assert!(read.is_err(), "{read:?} {byte:?}");
}
