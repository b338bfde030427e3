//! T9: a server that ends a stream or the connection of HTTP/2 says whether it processed the request (RFC 9113 §8.7).

use keyfob::oauth::{Client, ClientBuilder};
use keyfob::{ErrorKind, reqwest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::refresh_runs::Runs;

/// What the server sends after the head of the first request of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    RefusedStream,
    OtherReset,
    /// `GOAWAY` with the last stream that is processed.
    GoAway(u8),
    Token,
}

impl Sent {
    fn frames(self) -> Vec<u8> {
        let body = br#"{"access_token":"second","token_type":"Bearer","expires_in":3600,"refresh_token":"next"}"#;
        match self {
            Self::RefusedStream => frame(3, 0, 1, &[0, 0, 0, 7]),
            Self::OtherReset => frame(3, 0, 1, &[0, 0, 0, 2]),
            Self::GoAway(last) => frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0]),
            // `:status 200` of the static table of HPACK, as all of the headers.
            Self::Token => [frame(1, 4, 1, &[0x88]), frame(0, 1, 1, body)].concat(),
        }
    }
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A server that sends this on its connections, one after the other.
async fn server(sent: Vec<Sent>) -> ClientBuilder {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for sent in sent {
            let (connection, _) = listener.accept().await.unwrap();
            serve(connection, sent).await;
        }
    });
    // Without TLS, nothing negotiates the version.
    let http = reqwest::Client::builder().http2_prior_knowledge();
    Client::builder("desktop").token_endpoint(url).http(http)
}

async fn serve(mut connection: TcpStream, sent: Sent) {
    connection.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let mut preface = [0; 24];
    connection.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).await.unwrap();
        // The head of a request.
        if head[3] == 1 {
            break;
        }
    }
    connection.write_all(&sent.frames()).await.unwrap();
    // Until the client ends the connection, unless the server does.
    if !matches!(sent, Sent::GoAway(1..)) {
        let _ = connection.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn t9_a_request_that_was_given_back_is_sent_once_more_at_once() {
    for first in [Sent::RefusedStream, Sent::GoAway(0)] {
        let runs = Runs::new();
        let client = server(vec![first, Sent::Token]).await;
        assert_eq!(
            runs.run_with(client).await.unwrap().expose(),
            "second",
            "{first:?}"
        );
        assert!(runs.entry().await.pending_exchange().is_none(), "{first:?}");
    }
}

#[tokio::test]
async fn t9_a_request_that_is_always_given_back_uses_nothing_up() {
    let runs = Runs::new();
    for _ in 0..3 {
        let sent = vec![Sent::RefusedStream, Sent::GoAway(0)];
        let error = runs.run_with(server(sent).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!error.is_outcome_unknown(), "{error}");
        assert!(runs.entry().await.pending_exchange().is_none());
    }
    let client = server(vec![Sent::Token]).await;
    assert_eq!(runs.run_with(client).await.unwrap().expose(), "second");
}

#[tokio::test]
async fn t9_another_end_of_a_stream_leaves_the_outcome_unknown() {
    for sent in [Sent::OtherReset, Sent::GoAway(1)] {
        let runs = Runs::new();
        let client = server(vec![sent, Sent::Token]).await;
        let error = runs.run_with(client).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{sent:?}: {error}");
        assert!(runs.entry().await.pending_exchange().is_some(), "{sent:?}");
    }
}
