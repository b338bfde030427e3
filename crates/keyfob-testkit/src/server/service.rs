//! Serves one connection: reads each request and responds as the script says.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

use crate::server::checksum::Checksum;
use crate::server::log::Log;
use crate::server::payload::{Carrier, Payload};
use crate::server::received::Received;
use crate::server::response::{Outcome, Upload};
use crate::server::script::Script;
use crate::server::wire::{self, Link, Wire};

/// The state that all connections of one server share.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) script: Script,
    pub(crate) log: Log,
    pub(crate) body_limit: usize,
    pub(crate) connections: AtomicU64,
}

/// Serves one connection until it ends, or until a fault breaks it.
pub(crate) async fn serve(shared: Arc<ServerState>, stream: TcpStream, connection: u64) {
    let link = Arc::new(Link::default());
    let (wire, mut back) = Wire::lend(stream, Arc::clone(&link));
    let service = {
        let link = Arc::clone(&link);
        service_fn(move |request| {
            respond(Arc::clone(&shared), Arc::clone(&link), connection, request)
        })
    };
    let fault = {
        let http = auto::Builder::new(TokioExecutor::new());
        let served = http.serve_connection(TokioIo::new(wire), service);
        tokio::select! {
            biased;
            fault = link.requested() => Some(fault),
            _ = served => None,
        }
    };
    let Ok(stream) = back.try_recv() else {
        return;
    };
    match fault {
        Some(fault) => fault.break_connection(stream).await,
        None => wire::close(stream).await,
    }
}

async fn respond(
    shared: Arc<ServerState>,
    link: Arc<Link>,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Infallible> {
    let carrier = match request.version() {
        Version::HTTP_2 => Carrier::Stream,
        _ => Carrier::Connection(Arc::clone(&link)),
    };
    let received = receive(&shared, connection, request).await;
    let response = shared.script.respond(&received);
    // After the script, so that a test that waits for this call finds it counted everywhere.
    shared.log.push(received);
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    if let Some(gate) = response.gate {
        gate.opened().await;
    }
    match response.outcome {
        Outcome::Respond(mut scripted) => {
            let headers = std::mem::take(&mut scripted.headers);
            let status = scripted.status;
            let mut response = Response::new(Payload::new(*scripted, carrier));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(response)
        }
        Outcome::Hang => pending().await,
        Outcome::Break(fault) => {
            link.request(fault);
            pending().await
        }
    }
}

/// Reads as much of the request as the script needs.
async fn receive(shared: &ServerState, connection: u64, request: Request<Incoming>) -> Received {
    let (head, body) = request.into_parts();
    let mut received = Received {
        method: head.method,
        path: head.uri.path().to_owned(),
        authority: head.uri.authority().map(ToString::to_string),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body: Bytes::new(),
        body_length: 0,
        checksum: Checksum::new().finish(),
        connection,
        when: Instant::now(),
    };
    if body.is_end_stream() {
        return received;
    }
    let enough = match shared.script.upload(&received) {
        Upload::Whole => u64::MAX,
        Upload::Half => (body.size_hint().lower() / 2).max(1),
        Upload::Nothing => return received,
    };
    read(&mut received, body, enough, shared.body_limit).await;
    received
}

/// Reads the body until its end, or until enough of it has arrived. Keeps the start and counts the rest.
async fn read(received: &mut Received, mut body: Incoming, enough: u64, keep: usize) {
    let mut kept = BytesMut::new();
    let mut checksum = Checksum::new();
    while received.body_length < enough {
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        received.body_length += data.len() as u64;
        checksum.update(data);
        let room = (keep - kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
    }
    received.body = kept.freeze();
    received.checksum = checksum.finish();
}
