//! Requests that two servers could read in different ways (P2).

use crate::fixtures::{OK, RawUpstream, Running, route};

#[tokio::test]
async fn p2_a_request_that_is_not_clear_is_refused_with_400() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX y\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
    ] {
        let response = proxy.exchange(format!("{request}{next}")).await;
        let is_refused = ["HTTP/1.1 400 ", "HTTP/1.0 400 "].map(|line| response.starts_with(line));
        assert!(is_refused.contains(&true), "{request:?} {response:?}");
    }
    assert!(upstream.is_left_alone().await);
}

#[tokio::test]
async fn p2_a_request_behind_one_that_is_refused_is_not_read() {
    let upstream = RawUpstream::start().await;
    let url = upstream.url("/");
    let received = upstream.answer(OK);
    let proxy = Running::route(route(url).build().unwrap()).await;
    for hidden in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 44\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
    ] {
        let request =
            format!("{hidden}GET /hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        proxy.exchange(request).await;
        assert_eq!(received.lock().unwrap().concat(), "", "{hidden}");
    }
}

#[tokio::test]
async fn p2_a_body_in_odd_chunks_is_refused() {
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "x\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
    ] {
        let upstream = RawUpstream::start().await;
        let url = upstream.url("/");
        let received = upstream.answer(OK);
        let proxy = Running::route(route(url).build().unwrap()).await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let response = proxy
            .exchange(format!("{head}{chunks}GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        assert!(!response.contains(" 200 "), "{chunks} {response}");
        drop(received);
    }
}

#[tokio::test]
async fn p5_an_http_1_0_client_is_served() {
    let upstream = RawUpstream::start().await;
    let url = upstream.url("/");
    let received = upstream.answer(OK);
    let proxy = Running::route(route(url).build().unwrap()).await;
    let response = proxy.exchange("GET /x HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(
        response.starts_with("HTTP/1.0 200 OK\r\n") && response.ends_with("\r\n\r\nok"),
        "{response}"
    );
    assert!(received.lock().unwrap()[0].starts_with("GET /x HTTP/1.1\r\n"));
}
