//! What of a head goes to the other side (P4).

use crate::fixtures::{OK, RawUpstream, Running, route};

#[tokio::test]
async fn p4_what_goes_upstream_is_the_request_with_the_routes_credential() {
    let upstream = RawUpstream::start().await;
    let (url, host) = (upstream.url("/"), upstream.address);
    let received = upstream.answer(OK);
    let proxy = Running::route(route(url).build().unwrap()).await;
    let request = b"GET /x?y=z HTTP/1.1\r\nHost: proxy.example\r\n\
        Authorization: Bearer clients\r\nCookie: a=1\r\ncookie: b=2\r\nKeyfob-Client-Secret: s3cret\r\nDPoP: proof\r\n\
        Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nProxy-Other: x\r\n\
        Connection: close, X-Mine, authorization\r\nX-Mine: hop\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Bytes: \xff\xfe\r\nVia: 1.1 before\r\n\
        Forwarded: for=evil;host=evil\r\nX-Forwarded-Host: evil.example\r\nUser-Agent: test\r\n\r\n";
    let response = proxy.exchange(request).await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let received = received.lock().unwrap().concat();
    let mut lines: Vec<_> = received.trim_end().lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "GET /x?y=z HTTP/1.1",
            "authorization: Bearer one",
            "forwarded: for=evil;host=evil",
            &format!("host: {host}"),
            "user-agent: test",
            "via: 1.1 before",
            "x-bytes: \u{fffd}\u{fffd}",
            "x-forwarded-host: evil.example",
            "x-twice: 1",
            "x-twice: 2",
        ]
    );
}

#[tokio::test]
async fn p4_what_comes_back_is_the_response_without_cookies_and_hop_by_hop_fields() {
    let upstream = RawUpstream::start().await;
    let url = upstream.url("/");
    upstream.answer(
        "HTTP/1.1 299 Fine By Me\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n\
         Proxy-Authenticate: Basic\r\nSet-Cookie: sid=1\r\nset-cookie: b=2\r\nDate: Mon, 30 Nov 2026 00:00:00 GMT\r\n\
         X-Twice: 1\r\nX-Twice: 2\r\nWWW-Authenticate: Bearer\r\nServer: test\r\n\r\nok",
    );
    let proxy = Running::route(route(url).build().unwrap()).await;
    let response = proxy.get("/").await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 299 Fine By Me",
            "connection: close",
            "content-length: 2",
            "date: Mon, 30 Nov 2026 00:00:00 GMT",
            "server: test",
            "www-authenticate: Bearer",
            "x-twice: 1",
            "x-twice: 2",
        ]
    );
    assert_eq!(body, "ok");
}

#[tokio::test]
async fn p4_a_trailer_brings_neither_a_credential_nor_a_cookie() {
    let upstream = RawUpstream::start().await;
    let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
    let mut client = proxy.connect().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: p\r\nTE: trailers\r\nTrailer: X-Sum, Authorization\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nX-Sum: 9\r\nAuthorization: Bearer clients\r\n\r\n",
        )
        .await;
    let mut server = upstream.accept().await;
    let request = server.read_until("\r\n0\r\nx-sum: 9\r\n\r\n").await;
    assert!(request.contains("\r\nte: trailers\r\n"), "{request}");
    server
        .send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie\r\n\r\n\
             2\r\nok\r\n0\r\nX-Sum: 8\r\nSet-Cookie: a=1\r\n\r\n",
        )
        .await;
    let response = client.read_until("\r\n0\r\nx-sum: 8\r\n\r\n").await;
    assert!(response.contains("\r\n2\r\nok\r\n"), "{response}");
}
