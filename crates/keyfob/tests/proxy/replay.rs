//! Requests that are sent again, with a body that was streamed (P5, P6).

use crate::fixtures::{RawUpstream, Running, route};

const REJECTED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn pair(limit: usize) -> (Running, RawUpstream) {
    let upstream = RawUpstream::start().await;
    let route = route(upstream.url("/")).replay_limit(limit);
    (Running::route(route.build().unwrap()).await, upstream)
}

#[tokio::test]
async fn p6_a_401_renews_and_sends_the_whole_body_once_more() {
    for (framing, body) in [
        ("Content-Length: 6", "abcdef"),
        ("Transfer-Encoding: chunked", "6\r\nabcdef\r\n0\r\n\r\n"),
    ] {
        let (proxy, upstream) = pair(6).await;
        let mut client = proxy.connect().await;
        client
            .send(format!(
                "POST /x HTTP/1.1\r\nHost: p\r\n{framing}\r\n\r\n{body}"
            ))
            .await;
        for (token, response) in [("one", REJECTED), ("two", ACCEPTED)] {
            let mut server = upstream.accept().await;
            let request = server.read_until(body).await;
            assert!(
                request.contains(&format!("\r\nauthorization: Bearer {token}\r\n")),
                "{request}"
            );
            assert!(
                request.contains(&format!("\r\n{}\r\n", framing.to_lowercase())),
                "{request}"
            );
            server.send(response).await;
        }
        let response = client.read_message().await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let report = &proxy.reports()[0];
        assert_eq!((report.renewals(), report.not_replayed()), (1, None));
    }
}

#[tokio::test]
async fn p6_a_401_in_the_middle_of_a_body_sends_it_from_the_beginning_and_goes_on() {
    let (proxy, upstream) = pair(100).await;
    let mut client = proxy.connect().await;
    client.send("POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n").await;
    let mut first = upstream.accept().await;
    first.read_until("3\r\nabc\r\n").await;
    first.send(REJECTED).await;
    let mut second = upstream.accept().await;
    let request = second.read_until("3\r\nabc\r\n").await;
    assert!(
        request.contains("\r\nauthorization: Bearer two\r\n"),
        "{request}"
    );
    client.send("3\r\ndef\r\n0\r\nX-Sum: 1\r\n\r\n").await;
    second.read_until("3\r\ndef\r\n0\r\nx-sum: 1\r\n\r\n").await;
    second.send(ACCEPTED).await;
    assert!(client.read_message().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn p6_trailers_are_sent_again_too() {
    let (proxy, upstream) = pair(100).await;
    let mut client = proxy.connect().await;
    let body = "3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n";
    client.send(format!("POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{body}")).await;
    for response in [REJECTED, ACCEPTED] {
        let mut server = upstream.accept().await;
        server.read_until(body).await;
        server.send(response).await;
    }
    assert!(client.read_message().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn p5_a_body_beyond_the_limit_is_sent_once_and_its_401_passed_on() {
    for (framing, body) in [
        ("Content-Length: 6", "abcdef"),
        ("Transfer-Encoding: chunked", "6\r\nabcdef\r\n0\r\n\r\n"),
    ] {
        let (proxy, upstream) = pair(5).await;
        let mut client = proxy.connect().await;
        client
            .send(format!(
                "POST /x HTTP/1.1\r\nHost: p\r\n{framing}\r\n\r\n{body}"
            ))
            .await;
        let mut server = upstream.accept().await;
        server.read_until(body).await;
        server.send(REJECTED).await;
        let response = client.read_message().await;
        assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
        assert!(response.contains("error=\"invalid_token\""), "{response}");
        let report = &proxy.reports()[0];
        assert_eq!(report.renewals(), 1);
        assert!(
            report.not_replayed().unwrap().contains("replay limit"),
            "{report:?}"
        );
        assert!(upstream.is_left_alone().await);
        // The next request has the new token.
        client.send("GET /x HTTP/1.1\r\nHost: p\r\n\r\n").await;
        let mut server = upstream.accept().await;
        let request = server.read_until("\r\n\r\n").await;
        assert!(
            request.contains("\r\nauthorization: Bearer two\r\n"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn p6_a_post_whose_connection_broke_is_sent_once_and_a_put_again() {
    for (method, attempts) in [("POST", 1), ("PUT", 2)] {
        let (proxy, upstream) = pair(100).await;
        let mut client = proxy.connect().await;
        client
            .send(format!(
                "{method} /x HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\n\r\nabc"
            ))
            .await;
        drop(read_body(&upstream).await);
        if attempts == 2 {
            read_body(&upstream).await.send(ACCEPTED).await;
        }
        let response = client.read_message().await;
        assert_eq!(
            response.starts_with("HTTP/1.1 200 "),
            attempts == 2,
            "{response}"
        );
        assert!(upstream.is_left_alone().await);
    }
}

async fn read_body(upstream: &RawUpstream) -> crate::fixtures::RawStream {
    let mut server = upstream.accept().await;
    server.read_until("\r\n\r\nabc").await;
    server
}
