//! HTTP/2 at the server around the proxy: who is admitted (P3), and how a connection ends (P7).

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyfob::proxy::{
    Admission, Arrival, ClientSecrets, Limits, ListenAddress, Listener, Metrics, Proxy,
    ReverseRules, ReverseServer, Stop,
};
use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::fixtures::{LONG, RawStream, route};

/// A client of HTTP/2 is admitted by its secret.
const SECRET: &str = "a-secret-of-the-only-client";

/// Serves one route to one client, and returns where.
fn serve(upstream: &Server) -> (ListenAddress, Stop) {
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let mut clients = ClientSecrets::default();
    clients.add("client", SECRET).unwrap();
    let rules = ReverseRules {
        proxy: Proxy::new([route(upstream.url()).build().unwrap()]).unwrap(),
        admission: Admission::new(&listener).clients(clients),
        arrival: Arrival::on_route("api"),
        log: None,
    };
    let reverse = Arc::new(ReverseServer::new(rules, Arc::new(Metrics::default())));
    let (address, stop) = (listener.address().clone(), Stop::new());
    let stopping = stop.watch();
    tokio::spawn(async move {
        let server = keyfob::proxy::Server::new(Limits::default());
        reverse.serve(&server, listener, stopping).await;
    });
    (address, stop)
}

#[tokio::test]
async fn p3_a_client_of_http_2_is_admitted_by_the_same_rules() {
    let upstream = Server::start();
    upstream.expect(Expect::any().always(ScriptedResponse::text("ok")));
    let (address, _stop) = serve(&upstream);
    let address = address.to_string();
    let secret = ("keyfob-client-secret", SECRET);
    for (host, headers, status) in [
        (address.as_str(), vec![secret], 200),
        ("evil.example", vec![secret], 421),
        (
            address.as_str(),
            vec![secret, ("host", "evil.example")],
            421,
        ),
        (
            address.as_str(),
            vec![secret, ("origin", "http://evil.example")],
            403,
        ),
        (
            address.as_str(),
            vec![secret, ("sec-fetch-site", "cross-site")],
            403,
        ),
        (address.as_str(), vec![], 401),
        (
            address.as_str(),
            vec![("keyfob-client-secret", "another-secret-of-no-client")],
            401,
        ),
        (address.as_str(), vec![secret, secret], 400),
    ] {
        let stream = TcpStream::connect(&address).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = Request::get(format!("http://{host}/x"));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.status(), status, "{host} {headers:?}");
    }
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_a_drain_ends_a_connection_of_http_2_after_its_request() {
    let (upstream, gate) = (Server::start(), Gate::new());
    upstream.expect(Expect::any().always(ScriptedResponse::text("late").when(&gate)));
    let (address, stop) = serve(&upstream);
    let mut client = RawStream(TcpStream::connect(address.to_string()).await.unwrap());
    client.send(request_head(&address.to_string())).await;
    tokio::task::block_in_place(|| upstream.wait_for_calls(1, LONG));
    let draining = tokio::spawn(async move { stop.drain(LONG).await });
    while next_frame(&mut client).await.unwrap().kind != GOAWAY {}
    assert!(!draining.is_finished());
    gate.open();
    let mut rest = Vec::new();
    while let Some(frame) = next_frame(&mut client).await {
        rest.push(frame);
    }
    let body: Vec<_> = rest
        .iter()
        .filter(|frame| frame.kind == DATA)
        .flat_map(|frame| frame.payload.clone())
        .collect();
    assert_eq!(body, b"late");
    // The last request that was served, and no error (RFC 9113 §6.8).
    let goaway = rest.iter().find(|frame| frame.kind == GOAWAY).unwrap();
    assert_eq!(goaway.payload[..8], [0, 0, 0, 1, 0, 0, 0, 0]);
    assert!(draining.await.unwrap());
}

/// An extended CONNECT is how a WebSocket would begin over HTTP/2 (RFC 8441 §4).
#[tokio::test(flavor = "multi_thread")]
async fn p5_an_extended_connect_is_not_offered_and_refused_alone() {
    let upstream = Server::start();
    upstream.expect(Expect::any().always(ScriptedResponse::text("fine")));
    let (address, _stop) = serve(&upstream);
    let mut client = RawStream(TcpStream::connect(address.to_string()).await.unwrap());
    client.send(preface()).await;
    let connect = b"\x02\x07CONNECT\x00\x09:protocol\x09websocket\x86\x84";
    client.send(head(1, connect, &address.to_string())).await;
    let mut refused = None;
    while refused.is_none() {
        let frame = next_frame(&mut client).await.unwrap();
        match (frame.kind, frame.stream) {
            // Clients use it only if this setting is there (§3).
            (SETTINGS, _) => {
                let mut settings = frame.payload.chunks(6).map(|setting| setting[..2].to_vec());
                assert!(!settings.any(|id| id == [0, ENABLE_CONNECT_PROTOCOL]));
            }
            (RST_STREAM, 1) => refused = Some(frame.payload),
            (kind, _) => assert_ne!(kind, HEADERS),
        }
    }
    assert_eq!(refused.unwrap(), [0, 0, 0, PROTOCOL_ERROR]);
    assert_eq!(upstream.calls(), 0);
    // The connection serves other requests.
    client.send(head(3, GET, &address.to_string())).await;
    loop {
        let frame = next_frame(&mut client).await.unwrap();
        if frame.kind == DATA && !frame.payload.is_empty() {
            assert_eq!((frame.stream, &*frame.payload), (3, &b"fine"[..]));
            break;
        }
    }
    assert_eq!(upstream.calls(), 1);
}

/// The preface of a client, its settings, and stream 1 with a GET that ends there.
fn request_head(authority: &str) -> Vec<u8> {
    [preface(), head(1, GET, authority)].concat()
}

/// What a client sends first (RFC 9113 §3.4).
fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(Frame::new(SETTINGS, 0, 0, Vec::new()).bytes());
    bytes
}

/// The head of a request that ends there.
fn head(stream: u32, fields: &[u8], authority: &str) -> Vec<u8> {
    let mut fields = fields.to_vec();
    for (name, value) in [
        (&b"\x01"[..], authority),
        (b"\x00\x14keyfob-client-secret", SECRET),
    ] {
        // Literals that are not indexed: `:authority` is field 1 of the static table (RFC 7541 §6.2.2).
        fields.extend_from_slice(name);
        fields.push(u8::try_from(value.len()).unwrap());
        fields.extend_from_slice(value.as_bytes());
    }
    Frame::new(HEADERS, END_STREAM | END_HEADERS, stream, fields).bytes()
}

/// One frame of HTTP/2 (RFC 9113 §4.1).
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn new(kind: u8, flags: u8, stream: u32, payload: Vec<u8>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// The next frame of the server, or `None` at the end. A ping is answered, as the protocol asks.
async fn next_frame(client: &mut RawStream) -> Option<Frame> {
    let reading = async {
        let mut head = [0; 9];
        client.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        client.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame::new(head[3], head[4], stream, payload))
    };
    let frame = tokio::time::timeout(LONG, reading)
        .await
        .expect("the server goes on")?;
    if frame.kind == PING && frame.flags & ACK == 0 {
        client
            .send(Frame::new(PING, ACK, 0, frame.payload.clone()).bytes())
            .await;
    }
    Some(frame)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const ENABLE_CONNECT_PROTOCOL: u8 = 8;
const PROTOCOL_ERROR: u8 = 1;

/// GET, http, /
const GET: &[u8] = &[0x82, 0x86, 0x84];
