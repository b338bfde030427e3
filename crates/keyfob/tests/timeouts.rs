//! R8 in one table: what each interface does with a transfer that moves slowly, and with one that stalls.
//!
//! The word means the same everywhere: an attempt fails when for the timeout nothing moves. Where an interface cannot see
//! something move, its documentation says so, and the table has `Limited` or `Unlimited` instead of `Kept` or `Cut`.

#![expect(clippy::unwrap_used, reason = "a failed step of a test may panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "the timeouts of HTTP clients run in real time"
)]

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io;
use std::io::Read;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::{Method, Request};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use keyfob::error::BoxError;
use keyfob::middleware::AuthenticationMiddleware;
use keyfob::tower::AuthenticationLayer;
use keyfob::{FixedToken, RetryPolicy, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use tower::{Layer, ServiceExt};

/// Far longer than a step, so that the test passes on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(200);
/// A transfer of this many steps takes longer than the timeout.
const STEPS: usize = 15;
/// Long after the timeout.
const STALL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Interface {
    Session,
    Blocking,
    Layer,
    Middleware,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Upload,
    BeforeHead,
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Moves,
    Stalls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It moves, and is not cut off.
    Kept,
    /// It stalls, and fails with a timeout.
    Cut,
    /// It moves, but this interface cannot see that: the whole step has the timeout.
    Limited,
    /// It stalls, but this interface has no timeout there.
    Unlimited,
}

use Expected::{Cut, Kept, Limited, Unlimited};
use Interface::{Blocking, Layer as Tower, Middleware, Session as Async};
use Place::{BeforeHead, Body, Upload};

/// What happens to a transfer that moves, and to one that stalls.
const TABLE: [(Interface, Place, [Expected; 2]); 12] = [
    (Async, Upload, [Kept, Cut]),
    (Async, BeforeHead, [Kept, Cut]),
    (Async, Body, [Kept, Cut]),
    (Middleware, Upload, [Kept, Cut]),
    (Middleware, BeforeHead, [Kept, Cut]),
    (Middleware, Body, [Kept, Cut]),
    (Blocking, Upload, [Limited, Cut]),
    (Blocking, BeforeHead, [Kept, Cut]),
    (Blocking, Body, [Kept, Cut]),
    (Tower, Upload, [Limited, Cut]),
    (Tower, BeforeHead, [Kept, Cut]),
    (Tower, Body, [Kept, Unlimited]),
];

#[test]
fn r8_a_transfer_that_moves_is_kept_and_one_that_stalls_is_cut_off() {
    let rows = TABLE.into_iter().flat_map(|(interface, place, expected)| {
        [Transfer::Moves, Transfer::Stalls]
            .into_iter()
            .zip(expected)
            .map(move |(transfer, expected)| (interface, place, transfer, expected))
    });
    let rows = rows.filter(|row| row.3 != Unlimited).map(|row| {
        let (interface, place, transfer, expected) = row;
        let result = thread::spawn(move || run(interface, place, transfer));
        (
            format!("{interface:?} {place:?} {transfer:?}"),
            expected,
            result,
        )
    });
    for (row, expected, result) in rows.collect::<Vec<_>>() {
        match (expected, result.join().unwrap()) {
            (Kept, Ok(())) => {}
            (Cut | Limited, Err(error)) => assert!(is_timeout(&*error), "{row}: {error:?}"),
            (_, result) => panic!("{row}: {expected:?} expected, but {result:?}"),
        }
    }
}

fn run(interface: Interface, place: Place, transfer: Transfer) -> Result<(), BoxError> {
    let server = Server::start();
    server.expect(Expect::any().always(match (place, transfer) {
        (Place::Upload, _) => ScriptedResponse::status(200),
        (Place::BeforeHead, Transfer::Moves) => ScriptedResponse::status(200).after(STEP),
        (Place::BeforeHead, Transfer::Stalls) => ScriptedResponse::hang(),
        (Place::Body, Transfer::Moves) => {
            ScriptedResponse::bytes(vec![b'x'; STEPS]).slow_body(1, STEP)
        }
        (Place::Body, Transfer::Stalls) => {
            ScriptedResponse::text("half and half").slow_body(4, Duration::from_secs(3600))
        }
    }));
    let upload = matches!(place, Place::Upload).then_some(transfer);
    match interface {
        Interface::Blocking => blocking(&server, upload),
        interface => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                match interface {
                    Interface::Session => session(&server, upload).await,
                    Interface::Middleware => middleware(&server, upload).await,
                    _ => layer(&server, upload).await,
                }
            }),
    }
}

async fn session(server: &Server, upload: Option<Transfer>) -> Result<(), BoxError> {
    let session = Session::builder(tokens())
        .base_url(server.url())
        .retry(RetryPolicy::never())
        .timeout(TIMEOUT)
        .build()?;
    let mut request = session.request(method(upload), "data");
    if let Some(transfer) = upload {
        request = request.body(reqwest::Body::wrap_stream(parts(transfer)));
    }
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn middleware(server: &Server, upload: Option<Transfer>) -> Result<(), BoxError> {
    let (client, middleware) = AuthenticationMiddleware::builder(tokens())
        .origin(server.url())
        .timeout(TIMEOUT)
        .build(reqwest::Client::builder().no_proxy())?;
    let client = reqwest_middleware::ClientBuilder::new(client)
        .with(middleware)
        .build();
    let mut request = client.request(method(upload), server.url());
    if let Some(transfer) = upload {
        request = request.body(reqwest::Body::wrap_stream(parts(transfer)));
    }
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn layer(server: &Server, upload: Option<Transfer>) -> Result<(), BoxError> {
    let layer = AuthenticationLayer::builder(tokens())
        .origin(server.url())
        .retry(RetryPolicy::never())
        .timeout(TIMEOUT)
        .build()?;
    let client = legacy::Client::builder(TokioExecutor::new()).build_http();
    let body = match upload {
        Some(transfer) => {
            UnsyncBoxBody::new(StreamBody::new(parts(transfer).map(|p| p.map(Frame::data))))
        }
        None => UnsyncBoxBody::new(Empty::new().map_err(|never: Infallible| match never {})),
    };
    let request = Request::builder()
        .method(method(upload))
        .uri(server.url())
        .body(body)?;
    let response = layer.layer(client).oneshot(request).await?;
    assert_eq!(response.status(), 200);
    response.into_body().collect().await?;
    Ok(())
}

fn blocking(server: &Server, upload: Option<Transfer>) -> Result<(), BoxError> {
    let session = keyfob::blocking::Session::builder(tokens())
        .base_url(server.url())
        .retry(RetryPolicy::never())
        .timeout(TIMEOUT)
        .build()?;
    let mut request = session.request(method(upload), "data");
    if let Some(transfer) = upload {
        request = request.body(reqwest::blocking::Body::new(SlowReader {
            transfer,
            read: 0,
        }));
    }
    request.send()?.error_for_status()?.bytes()?;
    Ok(())
}

fn tokens() -> TokenCache {
    TokenCache::new(FixedToken::new(Token::new("t0ken").unwrap()))
}

fn method(upload: Option<Transfer>) -> Method {
    match upload {
        Some(_) => Method::PUT,
        None => Method::GET,
    }
}

/// The parts of an upload, of which the second never comes if it stalls.
fn parts(transfer: Transfer) -> BoxStream<'static, io::Result<Bytes>> {
    let next = move |part: usize| async move {
        match transfer {
            Transfer::Stalls if part > 0 => tokio::time::sleep(10 * STALL).await,
            _ => tokio::time::sleep(STEP).await,
        }
        (part < STEPS).then_some((Ok(Bytes::from_static(b"part")), part + 1))
    };
    Box::pin(unfold(0, next))
}

/// The same for a client that blocks, whose timeout cannot interrupt a read.
struct SlowReader {
    transfer: Transfer,
    read: usize,
}

impl Read for SlowReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == STEPS {
            return Ok(0);
        }
        thread::sleep(match self.transfer {
            Transfer::Stalls if self.read > 0 => STALL,
            _ => STEP,
        });
        self.read += 1;
        buffer[0] = b'x';
        Ok(1)
    }
}

/// Whether one of the causes is a timeout.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let of_keyfob = error.downcast_ref().is_some_and(keyfob::Error::is_timeout);
        let of_reqwest = error.downcast_ref().is_some_and(reqwest::Error::is_timeout);
        let of_io = error.downcast_ref::<io::Error>();
        if of_keyfob || of_reqwest || of_io.is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
