//! The client sees each fault as documented.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use keyfob_testkit::{Expect, Gate, ScriptedResponse, Server};

use crate::client::{connect, get, post, read_all};

fn server_with(response: ScriptedResponse) -> Server {
    let server = Server::start();
    server.expect(Expect::path("/data").respond(response));
    server
}

#[test]
fn a_reset_is_a_reset_without_a_byte() {
    let server = server_with(ScriptedResponse::reset());
    let seen = get(server.address(), "/data");
    assert!(seen.was_reset() && seen.bytes.is_empty(), "{seen:?}");
}

#[test]
fn a_close_is_an_end_without_a_byte() {
    let server = server_with(ScriptedResponse::close());
    let seen = get(server.address(), "/data");
    assert!(seen.end.is_ok() && seen.bytes.is_empty(), "{seen:?}");
}

#[test]
fn garbage_is_not_http() {
    let server = server_with(ScriptedResponse::garbage());
    let seen = get(server.address(), "/data");
    assert!(seen.end.is_ok() && !seen.bytes.is_empty(), "{seen:?}");
    assert!(!seen.bytes.starts_with(b"HTTP/"), "{seen:?}");
}

#[test]
fn raw_bytes_arrive_unchanged() {
    let server = server_with(ScriptedResponse::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    ));
    let seen = get(server.address(), "/data");
    assert_eq!(seen.header("content-length").as_deref(), Some("many"));
}

#[test]
fn raw_bytes_may_be_followed_by_a_hang() {
    let server = server_with(ScriptedResponse::raw_then_hang("HTTP/1.1 20"));
    let mut stream = connect(server.address());
    stream
        .write_all(b"GET /data HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let mut bytes = [0; 11];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 20");
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_hang_sends_nothing_and_ends_with_the_server() {
    let server = server_with(ScriptedResponse::hang());
    let mut stream = connect(server.address());
    stream
        .write_all(b"GET /data HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    server.wait_for_calls(1, Duration::from_secs(10));
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);

    drop(server);
    stream.set_nonblocking(false).unwrap();
    assert!(read_all(&mut stream).bytes.is_empty());
}

#[test]
fn a_cut_body_ends_before_its_length() {
    let server = server_with(ScriptedResponse::text("0123456789").cut_body_after(4));
    let seen = get(server.address(), "/data");
    assert!(seen.end.is_ok(), "{seen:?}");
    assert_eq!(seen.header("content-length").as_deref(), Some("10"));
    assert_eq!(seen.body(), b"0123");
}

#[test]
fn a_body_cut_at_once_still_has_its_head() {
    let server = server_with(ScriptedResponse::text("0123456789").cut_body_after(0));
    let seen = get(server.address(), "/data");
    assert_eq!((seen.status(), seen.body()), (200, &b""[..]));
}

#[test]
fn a_large_body_is_cut_at_the_byte() {
    let server = server_with(ScriptedResponse::stream(10_000_000).cut_body_after(3_000_001));
    let seen = get(server.address(), "/data");
    assert!(seen.end.is_ok());
    assert_eq!(seen.body().len(), 3_000_001);
}

#[test]
fn a_cut_chunked_body_has_no_last_chunk() {
    let server = server_with(
        ScriptedResponse::text("0123456789")
            .chunked()
            .cut_body_after(4),
    );
    let seen = get(server.address(), "/data");
    assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(seen.body(), b"4\r\n0123\r\n");
}

#[test]
fn a_body_reset_midway_ends_in_a_reset() {
    let server = server_with(ScriptedResponse::stream(1 << 30).reset_body_after(1 << 20));
    let seen = get(server.address(), "/data");
    assert!(seen.was_reset(), "{:?}", seen.end);
    assert!(seen.bytes.len() < 2 << 20);
}

#[test]
fn an_upload_is_reset_halfway() {
    let server = server_with(ScriptedResponse::reset_in_upload());
    let mut stream = connect(server.address());
    stream
        .write_all(b"POST /data HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n")
        .unwrap();
    stream.write_all(&[7; 500]).unwrap();
    let seen = read_all(&mut stream);
    assert!(seen.was_reset() && seen.bytes.is_empty(), "{seen:?}");
    assert_eq!(server.received()[0].body_length, 500);
}

#[test]
fn a_body_that_a_condition_reads_is_read_before_the_reset() {
    let server = Server::start();
    server.expect(
        Expect::post("/data")
            .form("a", "b")
            .respond(ScriptedResponse::reset_in_upload()),
    );
    assert!(post(server.address(), "/data", "a=b").was_reset());
    assert_eq!(server.received()[0].body_length, 3);
}

#[test]
fn an_early_response_arrives_even_if_the_body_was_not_read() {
    let server = server_with(ScriptedResponse::status(413).without_reading());
    let seen = post(server.address(), "/data", &"x".repeat(4 << 20));
    assert_eq!(seen.status(), 413);
    assert_eq!(server.received()[0].body_length, 0);
}

#[test]
fn a_delay_comes_before_the_head() {
    let delay = Duration::from_millis(30);
    let server = server_with(ScriptedResponse::status(204).after(delay));
    let start = Instant::now();
    assert_eq!(get(server.address(), "/data").status(), 204);
    assert!(start.elapsed() >= delay);
}

#[test]
fn a_slow_body_comes_piece_by_piece() {
    let interval = Duration::from_millis(10);
    let server = server_with(ScriptedResponse::text("01234567").slow_body(2, interval));
    let start = Instant::now();
    assert_eq!(get(server.address(), "/data").body(), b"01234567");
    assert!(start.elapsed() >= interval * 3);
}

#[test]
fn a_gate_holds_the_response_until_it_opens() {
    let gate = Gate::new();
    let server = server_with(ScriptedResponse::text("opened").when(&gate));
    let address = server.address();
    let client = std::thread::spawn(move || get(address, "/data"));
    server.wait_for_calls(1, Duration::from_secs(10));
    assert!(!client.is_finished());
    gate.open();
    assert_eq!(client.join().unwrap().body(), b"opened");
}

#[test]
fn a_dropped_gate_holds_nothing() {
    let server = server_with(ScriptedResponse::text("on").when(&Gate::new()));
    assert_eq!(get(server.address(), "/data").body(), b"on");
}

#[test]
fn a_fault_can_come_late() {
    let delay = Duration::from_millis(30);
    let server = server_with(ScriptedResponse::reset().after(delay));
    let start = Instant::now();
    assert!(get(server.address(), "/data").was_reset());
    assert!(start.elapsed() >= delay);
}

#[test]
#[should_panic(expected = "this response is a fault")]
fn a_fault_has_no_headers() {
    let _ = ScriptedResponse::reset().header("a", "b");
}
