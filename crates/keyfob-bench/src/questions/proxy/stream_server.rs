//! An upstream that streams: large bodies in both directions, and events.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

/// The body of every message here.
pub type Body = BoxBody<Bytes, Infallible>;

/// Serves until the runtime ends. `/events` sends the time since `epoch` with each event.
pub async fn serve(epoch: Instant) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let service = service_fn(move |request| respond(request, epoch));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn respond(
    request: Request<Incoming>,
    epoch: Instant,
) -> Result<Response<Body>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        received += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    Ok(Response::new(match path.as_str() {
        "/download" => zeros(LARGE),
        "/events" => events(epoch),
        _ => Full::new(received.to_string().into()).boxed(),
    }))
}

/// A body of this many bytes, made while it is sent.
pub fn zeros(length: u64) -> Body {
    static CHUNK: [u8; 65_536] = [0; 65_536];
    let chunks = length / CHUNK.len() as u64;
    body(stream::iter(0..chunks).map(|_| Bytes::from_static(&CHUNK)))
}

fn events(epoch: Instant) -> Body {
    let ticks = stream::unfold(interval(EVENT_EVERY), |mut ticks| async move {
        ticks.tick().await;
        Some(((), ticks))
    });
    let text = move |()| Bytes::from(format!("data: {}\n\n", epoch.elapsed().as_nanos()));
    body(ticks.take(EVENTS).map(text))
}

fn body(chunks: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    BodyExt::boxed(StreamBody::new(
        chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk))),
    ))
}

/// The length of a large body: 10 GiB.
pub const LARGE: u64 = 10 << 30;
/// The events of one stream.
pub const EVENTS: usize = 1_200;
pub const EVENT_EVERY: Duration = Duration::from_millis(10);
