//! What a server records, and how it starts and stops.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyfob_testkit::{Expect, ScriptedResponse, Server, checksum};

use crate::client::{connect, exchange, get, post, read_one, request};

fn open_server() -> Server {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::text("ok")));
    server
}

#[test]
fn a_request_is_recorded_as_it_was_sent() {
    let server = open_server();
    let start = Instant::now();
    request(
        server.address(),
        "PUT",
        "/a%20b?c=d&e",
        &[("X-Y", "z")],
        "body",
    );
    let received = &server.received()[0];
    assert_eq!(received.method, "PUT");
    assert_eq!(received.path, "/a%20b");
    assert_eq!(received.query.as_deref(), Some("c=d&e"));
    assert_eq!(received.header("x-y"), Some("z"));
    assert_eq!(received.body, "body");
    assert_eq!(received.body_length, 4);
    assert_eq!(received.connection, 1);
    assert!(received.when >= start);
}

#[test]
fn a_request_to_a_proxy_is_recorded_with_its_host() {
    let server = open_server();
    for line in ["GET http://api.test:81/data", "CONNECT api.test:81"] {
        let head = format!("{line} HTTP/1.1\r\nhost: api.test:81\r\nconnection: close\r\n\r\n");
        exchange(server.address(), &head);
    }
    get(server.address(), "/data");
    let hosts: Vec<_> = server
        .received()
        .into_iter()
        .map(|it| it.authority)
        .collect();
    let host = || Some("api.test:81".to_owned());
    assert_eq!(hosts, [host(), host(), None]);
}

#[test]
fn connections_are_kept_and_numbered() {
    let server = open_server();
    for _ in 0..2 {
        let mut stream = connect(server.address());
        for _ in 0..3 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
                .unwrap();
            assert_eq!(read_one(&mut stream).body(), b"ok");
        }
    }
    let on: Vec<u64> = server.received().iter().map(|r| r.connection).collect();
    assert_eq!(on, [1, 1, 1, 2, 2, 2]);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_large_upload_is_counted_and_not_kept() {
    let server = Server::builder().body_limit(10).start();
    server.expect(Expect::post("/data").respond(ScriptedResponse::status(204)));
    let body = "0123456789abcdef".repeat(100_000);
    assert_eq!(post(server.address(), "/data", &body).status(), 204);
    let received = &server.received()[0];
    assert_eq!(received.body, "0123456789");
    assert_eq!(received.body_length, body.len() as u64);
    assert_eq!(received.checksum, checksum([body.as_bytes()]));
}

#[test]
fn the_newest_requests_are_kept_and_all_are_counted() {
    let server = Server::builder().request_limit(2).start();
    server.expect(Expect::any().always(ScriptedResponse::status(204)));
    for path in ["/1", "/2", "/3"] {
        get(server.address(), path);
    }
    let paths: Vec<String> = server.received().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/2", "/3"]);
    assert_eq!(server.calls(), 3);
}

#[test]
fn a_stream_has_its_length() {
    let server = Server::start();
    server.expect(Expect::get("/big").respond(ScriptedResponse::stream(5_000_000)));
    let seen = get(server.address(), "/big");
    assert_eq!(seen.header("content-length").as_deref(), Some("5000000"));
    assert_eq!(seen.body().len(), 5_000_000);
}

#[test]
fn a_server_can_listen_on_ipv6() {
    let Ok(_) = std::net::TcpListener::bind("[::1]:0") else {
        return; // this machine has no IPv6
    };
    let server = Server::builder().ipv6().start();
    server.expect(Expect::get("/").respond(ScriptedResponse::status(204)));
    assert_eq!(get(server.address(), "/").status(), 204);
    assert!(server.url_for("/x").starts_with("http://[::1]:"));
}

#[test]
fn dropping_a_server_ends_connections_and_closes_the_port() {
    let server = open_server();
    let address = server.address();
    let mut stream = connect(address);
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    read_one(&mut stream);
    drop(server);
    assert!(crate::client::read_all(&mut stream).bytes.is_empty());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
#[should_panic(expected = "0 of 1 requests arrived")]
fn waiting_for_calls_ends_after_its_timeout() {
    Server::start().wait_for_calls(1, Duration::from_millis(1));
}

#[test]
fn http2_is_served_to_clients_with_prior_knowledge() {
    let server = open_server();
    server.expect(Expect::any().always(ScriptedResponse::status(500)));
    let cut = Server::start();
    cut.expect(Expect::any().respond(ScriptedResponse::stream(100_000).cut_body_after(10)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let (status, body) = get_http2(&server).await;
        assert_eq!((status, body.unwrap().as_slice()), (200, &b"ok"[..]));
        let (status, body) = get_http2(&cut).await;
        assert_eq!(status, 200);
        assert!(body.is_err(), "the stream was reset");
        server.until_calls(1).await;
    });
}

#[test]
fn a_fault_breaks_an_http2_connection() {
    let server = Server::start();
    server.expect(Expect::any().respond(ScriptedResponse::reset()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        assert!(send_http2(&server).await.is_err());
    });
}

async fn get_http2(server: &Server) -> (u16, hyper::Result<Vec<u8>>) {
    let response = send_http2(server).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await;
    (status, body.map(|body| body.to_bytes().to_vec()))
}

async fn send_http2(server: &Server) -> hyper::Result<http::Response<Incoming>> {
    let stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::get(server.url_for("/"));
    let request = request.body(Empty::<&[u8]>::new()).unwrap();
    client.send_request(request).await
}
