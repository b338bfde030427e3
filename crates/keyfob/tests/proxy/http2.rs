//! HTTP/2 on both sides, and gRPC over it (P5).

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keyfob_testkit::{Expect, ScriptedResponse, Server, TestAuthority};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::Code;
use tonic::transport::Channel;

use crate::fixtures::{RawUpstream, Running, route, tls_config};
use crate::grpc_server::{Calls, Raw, serve};

const METHOD: PathAndQuery = PathAndQuery::from_static("/test.Test/Join");

async fn grpc(proxy: &Running) -> tonic::client::Grpc<Channel> {
    let channel = Channel::from_shared(proxy.url("")).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    client
}

#[tokio::test]
async fn p5_a_grpc_call_passes_and_p6_is_replayed_with_a_new_token() {
    let calls = Calls::default();
    let url = serve("Bearer two", Arc::clone(&calls)).await;
    let proxy = Running::route(route(url).build().unwrap()).await;
    let mut client = grpc(&proxy).await;
    let request = tonic::Request::new(Bytes::from_static(b"hello"));
    let response = client.unary(request, METHOD, Raw).await.unwrap();
    assert_eq!(response.into_inner(), "hello");
    let seen: Vec<_> = calls
        .lock()
        .unwrap()
        .iter()
        .map(|call| call.0.clone())
        .collect();
    assert_eq!(seen, ["Bearer one", "Bearer two"]);
    let (messages, sent) = mpsc::unbounded();
    for message in ["a", "b"] {
        messages
            .unbounded_send(Bytes::from_static(message.as_bytes()))
            .unwrap();
    }
    drop(messages);
    client.ready().await.unwrap();
    let response = client
        .client_streaming(tonic::Request::new(sent), METHOD, Raw)
        .await;
    assert_eq!(response.unwrap().into_inner(), "ab");
}

#[tokio::test]
async fn p1_a_grpc_call_without_a_token_fails() {
    let url = serve("Bearer two", Calls::default()).await;
    let tokens = keyfob::TokenCache::new(keyfob::hook_blocking(|_| {
        Err::<&str, _>(keyfob::Error::unavailable("100 % down \u{1f512}"))
    }));
    let proxy = Running::route(keyfob::proxy::Route::new("api", url, tokens).unwrap()).await;
    let request = tonic::Request::new(Bytes::new());
    let status = grpc(&proxy)
        .await
        .unary(request, METHOD, Raw)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "100 % down \u{1f512}");
}

#[tokio::test]
async fn p5_trailers_pass_both_ways_over_http_2() {
    let upstream = echo(None).await;
    let proxy = Running::route(route(format!("http://{upstream}")).build().unwrap()).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let (frames, sent) = mpsc::unbounded::<Result<Frame<Bytes>, Infallible>>();
    let request = Request::post(proxy.url("/x"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(StreamBody::new(sent))
        .unwrap();
    // The head of the response comes before the request has ended.
    let mut response = client.request(request).await.unwrap();
    assert_eq!(response.headers()["x-te"], "trailers");
    for text in ["one", "two"] {
        frames
            .unbounded_send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
            .unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    trailers.insert("cookie", HeaderValue::from_static("a=1"));
    trailers.insert("authorization", HeaderValue::from_static("Bearer clients"));
    trailers.insert("set-cookie", HeaderValue::from_static("a=1"));
    frames
        .unbounded_send(Ok(Frame::trailers(trailers)))
        .unwrap();
    drop(frames);
    let frame = response.frame().await.unwrap().unwrap();
    let trailers = frame.into_trailers().unwrap();
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(trailers["x-sum"], "1");
}

#[tokio::test]
async fn p5_an_http_2_client_and_an_http_1_upstream_understand_each_other() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::text("ok").header("connection", "close")));
    let proxy = Running::route(route(server.url()).build().unwrap()).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::post(proxy.url("/x"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::new(Bytes::from_static(b"hello")))
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(
        (response.version(), response.status().as_u16()),
        (Version::HTTP_2, 200)
    );
    let received = &server.received()[0];
    assert_eq!(received.body, "hello");
    assert_eq!(
        received.header("host"),
        Some(server.address().to_string().as_str())
    );
    assert_eq!(received.header("cookie"), None);
}

#[tokio::test]
async fn p5_a_body_over_http_2_that_is_unusual_for_its_method_passes() {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let body = || {
        let frame = Frame::data(Bytes::from_static(b"abc"));
        StreamBody::new(stream::iter([Ok::<_, Infallible>(frame)]))
    };
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        let upstream = RawUpstream::start().await;
        let proxy = Running::route(route(upstream.url("/")).build().unwrap()).await;
        let request = Request::builder().method(&method).uri(proxy.url("/x"));
        let request = client.request(request.body(body()).unwrap());
        let sent = tokio::spawn(request);
        let request = upstream
            .accept()
            .await
            .read_until("\r\n\r\n3\r\nabc\r\n")
            .await;
        assert!(
            request.contains("\r\ntransfer-encoding: chunked\r\n"),
            "{request}"
        );
        sent.abort();
    }
    // An upstream of HTTP/2 gets no `Transfer-Encoding`, which it would have to refuse.
    let proxy = before_https().await;
    let request = Request::get(proxy.url("/x")).body(body()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.headers()["x-version"], "HTTP/2.0");
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "abc"
    );
}

#[tokio::test]
async fn p2_over_http_2_host_and_authority_must_agree() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::text("ok")));
    let proxy = Running::route(route(server.url()).build().unwrap()).await;
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    for (host, status) in [
        (proxy.address.to_string(), 200),
        ("evil.example".to_owned(), 400),
    ] {
        let request = Request::get(proxy.url("/x")).header("host", host);
        let response = client
            .request(request.body(Full::<Bytes>::default()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(
        server.received()[0].header("host"),
        Some(server.address().to_string().as_str())
    );
}

#[tokio::test]
async fn p5_an_https_upstream_is_asked_for_http_2_and_for_http_1_to_upgrade() {
    let proxy = before_https().await;
    let response = proxy.get("/").await;
    assert!(
        response.contains("\r\nx-version: HTTP/2.0\r\n"),
        "{response}"
    );
    let upgrade =
        "GET / HTTP/1.1\r\nHost: p\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    let response = proxy.exchange(upgrade).await;
    assert!(
        response.contains("\r\nx-version: HTTP/1.1\r\n"),
        "{response}"
    );
}

/// A proxy in front of [`echo`] over TLS, whose authority it knows from a file.
async fn before_https() -> Running {
    let authority = TestAuthority::new();
    let upstream = echo(Some(&authority)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let route = route(format!("https://{upstream}")).ca_file(&ca);
    Running::route(route.build().unwrap()).await
}

/// A server that echoes the body as it comes, and says what it saw of the head.
async fn echo(authority: Option<&TestAuthority>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = authority.map(|authority| TlsAcceptor::from(tls_config(authority)));
    let respond = |request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        let mut response = Response::builder().header("x-version", format!("{:?}", head.version));
        if let Some(te) = head.headers.get("te") {
            response = response.header("x-te", te);
        }
        assert_eq!(head.headers["authorization"], "Bearer one");
        Ok::<_, Infallible>(response.body(body).unwrap())
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let service = service_fn(respond);
                let _ = match tls {
                    None => server.serve_connection(TokioIo::new(stream), service).await,
                    Some(tls) => {
                        let stream = TokioIo::new(tls.accept(stream).await.unwrap());
                        server.serve_connection(stream, service).await
                    }
                };
            });
        }
    });
    address
}
