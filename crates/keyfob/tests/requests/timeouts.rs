//! R8: no request waits without a limit, and a transfer that makes progress is not cut off.

use std::io::Error as IoError;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc;
use keyfob::{Error, ErrorKind, Session, Token, TokenCache};
use keyfob_testkit::{Call, Expect, GatedSource, ManualClock, ScriptedResponse, Server};
use reqwest::{Body, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::error_texts::error_texts;
use crate::fixtures::{SECOND, builder, cause, meanwhile, session};

const LIMIT: Duration = Session::TIMEOUT;

#[tokio::test]
async fn r8_a_missing_response_is_a_timeout_after_twenty_seconds() {
    assert_eq!(LIMIT, 20 * SECOND);
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::post("/data").respond(ScriptedResponse::hang()));
    let session = session(&server, &clock);
    let time_passes = async {
        clock.until_sleeping_for(LIMIT).await;
        server.until_calls(1).await;
        clock.advance(LIMIT - Duration::from_millis(1));
        tokio::task::yield_now().await;
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_millis(1));
    };
    let (response, ()) = meanwhile(session.post("data?q=PATIENT").send(), time_passes).await;
    let error = response.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.is_timeout());
    assert!(error.to_string().contains("`timeout`"), "{error}");
    assert!(!error_texts(&error).contains("PATIENT"));
}

#[tokio::test]
async fn r8_a_timeout_of_one_request_is_told_apart_from_a_broken_connection() {
    let server = Server::start();
    server
        // It may arrive late, or not at all.
        .expect(
            Expect::post("/late")
                .always(ScriptedResponse::hang())
                .at_least(0),
        )
        .expect(Expect::post("/broken").respond(ScriptedResponse::reset()));
    let session = session(&server, &ManualClock::default());
    let late = session.post("late").timeout(Duration::from_millis(1));
    assert!(late.send().await.unwrap_err().is_timeout());
    let error: keyfob::Error = session.post("broken").send().await.unwrap_err();
    assert!(!error.is_timeout(), "{error}");
}

#[tokio::test]
async fn r8_a_stalled_body_ends_with_a_timeout_and_stays_ended() {
    let clock = ManualClock::default();
    let server = Server::start();
    let stalls = ScriptedResponse::text("half and half").slow_body(4, Duration::from_secs(3600));
    server.expect(Expect::get("/data").respond(stalls));
    let mut response = session(&server, &clock).get("data").send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
    let time_passes = async {
        clock.until_sleeping_for(LIMIT).await;
        clock.advance(LIMIT);
    };
    let (stalled, ()) = meanwhile(response.chunk(), time_passes).await;
    let error = stalled.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    // Another read returns a timeout again, and does not panic.
    let time_passes = async {
        clock.until_sleeping_for(LIMIT).await;
        clock.advance(LIMIT);
    };
    let (stalled, ()) = meanwhile(response.chunk(), time_passes).await;
    assert!(stalled.unwrap_err().is_timeout());
}

#[tokio::test]
async fn r8_a_slow_download_that_makes_progress_is_not_cut_off() {
    let clock = ManualClock::default();
    let server = Server::start();
    let slow = ScriptedResponse::bytes(vec![b'x'; 50]).slow_body(10, Duration::from_millis(5));
    server.expect(Expect::get("/data").respond(slow));
    let mut response = session(&server, &clock).get("data").send().await.unwrap();
    let mut length = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        length += piece.len();
        clock.advance(LIMIT - SECOND);
    }
    assert_eq!(length, 50);
}

#[tokio::test]
async fn r8_a_slow_reader_is_not_cut_off() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::stream(3_000_000)));
    let mut response = session(&server, &clock).get("data").send().await.unwrap();
    let mut length = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        length += piece.len();
        clock.advance(2 * LIMIT);
    }
    assert_eq!(length, 3_000_000);
}

#[tokio::test]
async fn r8_a_slow_streamed_upload_that_makes_progress_is_not_cut_off() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::put("/data").respond(ScriptedResponse::status(200)));
    let (mut pieces, body) = mpsc::channel::<Result<Bytes, IoError>>(0);
    let session = session(&server, &clock);
    let upload = session.put("data").body(Body::wrap_stream(body)).send();
    let time_passes = async {
        for _ in 0..5 {
            clock.until_sleeping_for(LIMIT).await;
            feed(&mut pieces).await;
            clock.advance(LIMIT);
        }
        drop(pieces);
    };
    let (response, ()) = meanwhile(upload, time_passes).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(server.received()[0].body_length, 25);
}

#[tokio::test]
async fn r8_a_stalled_streamed_upload_is_cut_off() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::put("/data").always(ScriptedResponse::status(200)));
    let (mut pieces, body) = mpsc::channel::<Result<Bytes, IoError>>(0);
    let session = session(&server, &clock);
    let upload = session.put("data").body(Body::wrap_stream(body)).send();
    let time_passes = async {
        feed(&mut pieces).await;
        for _ in 0..2 {
            clock.until_sleeping_for(LIMIT).await;
            clock.advance(LIMIT);
        }
    };
    let (response, ()) = meanwhile(upload, time_passes).await;
    let error = response.unwrap_err();
    assert!(cause::<IoError>(&error).unwrap().kind() == std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn r8_a_slow_upload_from_memory_that_makes_progress_is_not_cut_off() {
    // More than the buffers between client and server hold, so that the writer waits for each step of the reader.
    const STEP: usize = 6_000_000;
    let clock = ManualClock::default();
    let reader = SlowReader::listen();
    let session = builder(&clock).base_url(&reader.url).build().unwrap();
    let upload = session.put("data").body(vec![b'x'; 4 * STEP]).send();
    let time_passes = async {
        let mut reader = reader.accept().await;
        for _ in 0..3 {
            clock.until_sleeping_for(LIMIT).await;
            reader.take(STEP).await;
            clock.advance(LIMIT);
        }
        reader.take(STEP).await;
        reader
            .respond(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
        reader
    };
    let (response, reader) = meanwhile(upload, time_passes).await;
    assert_eq!(response.unwrap().status(), 200);
    let length = format!("content-length: {}\r\n", 4 * STEP);
    assert!(reader.head.contains(&length), "{}", reader.head);
}

#[tokio::test]
async fn r8_a_timeout_of_the_request_bounds_the_whole_attempt() {
    let server = Server::start();
    let stalls = ScriptedResponse::text("slowly").slow_body(1, Duration::from_secs(3600));
    server
        .expect(
            Expect::get("/head")
                .respond(ScriptedResponse::hang())
                .at_least(1),
        )
        .expect(Expect::get("/body").respond(stalls));
    let session = session(&server, &ManualClock::default());
    let head = session.get("head").timeout(Duration::from_millis(50));
    let error = head.send().await.unwrap_err();
    assert!(cause::<reqwest::Error>(&error).unwrap().is_timeout());
    let body = session.get("body").timeout(Duration::from_secs(3));
    let response = body.send().await.unwrap();
    assert!(response.text().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn r8_waiting_for_a_token_ends_with_the_total_time_and_not_the_fetch() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .bearer("late")
            .respond(ScriptedResponse::status(200)),
    );
    let source = GatedSource::new();
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::builder(tokens)
        .base_url(server.url())
        .build()
        .unwrap();
    let (response, call) = get_for_five_seconds(&session, &source, &clock).await;
    assert_eq!(response.unwrap_err().kind(), ErrorKind::Deadline);
    assert_eq!(server.connections(), 0);
    call.respond(Token::new("late"));
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn r8_a_401_whose_renewal_takes_too_long_is_returned() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(401).body("no")));
    let source = GatedSource::new();
    let tokens = TokenCache::builder(source.clone())
        .token(Token::new("one").unwrap())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::builder(tokens)
        .base_url(server.url())
        .build()
        .unwrap();
    let (response, call) = get_for_five_seconds(&session, &source, &clock).await;
    assert_eq!(response.unwrap().text().await.unwrap(), "no");
    call.respond(Token::new("two"));
}

/// Gets `/data` with a total time of five seconds, which pass while the source is asked.
async fn get_for_five_seconds(
    session: &Session,
    source: &GatedSource,
    clock: &ManualClock,
) -> (Result<Response, Error>, Call) {
    let request = session.get("data").retry(|policy| policy.total(5 * SECOND));
    let time_passes = async {
        let call = source.next_call().await;
        clock.until_sleeping_for(5 * SECOND).await;
        clock.advance(5 * SECOND);
        call
    };
    meanwhile(request.send(), time_passes).await
}

async fn feed(pieces: &mut mpsc::Sender<Result<Bytes, IoError>>) {
    std::future::poll_fn(|context| pieces.poll_ready(context))
        .await
        .unwrap();
    pieces.start_send(Ok(Bytes::from_static(b"piece"))).unwrap();
    // A channel without capacity is ready again when the piece was received.
    std::future::poll_fn(|context| pieces.poll_ready(context))
        .await
        .unwrap();
}

/// A server that reads an upload in steps that the test controls.
struct SlowReader {
    url: String,
    listener: TcpListener,
}

struct SlowConnection {
    stream: TcpStream,
    head: String,
}

impl SlowReader {
    fn listen() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1 << 16).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        Self { url, listener }
    }

    async fn accept(self) -> SlowConnection {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        SlowConnection { stream, head }
    }
}

impl SlowConnection {
    async fn take(&mut self, length: usize) {
        let mut taken = vec![0; length];
        self.stream.read_exact(&mut taken).await.unwrap();
    }

    async fn respond(&mut self, response: &[u8]) {
        self.stream.write_all(response).await.unwrap();
    }
}
