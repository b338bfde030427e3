//! The tower layer, over the client of `hyper-util`.

use std::io;
use std::io::SeekFrom;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request as HttpRequest, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyfob::tower::{AuthenticationLayer, AuthenticationService, ReplayBuffered};
use keyfob_conformance::case::{Body, Client as Settings, Request};
use keyfob_conformance::outcome::{CallerGot, ErrorName, Job, Outcome};
use std::error::Error as StdError;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tower::{Layer, ServiceExt};

use crate::drivers::results::{failure, head, with_body};
use crate::drivers::runtime::block_on;
use crate::drivers::session::generator;
use crate::drivers::settings::{configured, headers};
use crate::drivers::source::source;

pub(super) type Sent = UnsyncBoxBody<Bytes, io::Error>;
type Https = hyper_rustls::HttpsConnector<HttpConnector>;
type Service = AuthenticationService<Client<Https, Sent>, ReplayBuffered<Sent>>;

pub(super) fn run(job: &Job) -> Outcome {
    block_on(async {
        let (hook, calls) = source(&job.client);
        let layer = configured!(AuthenticationLayer::builder(hook), &job.client)
            .replay(ReplayBuffered::new(|body| body.boxed_unsync()).limit(LIMIT))
            .build();
        let mut results = Vec::new();
        match layer {
            Ok(layer) => {
                let https = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_native_roots()
                    .expect("the runner's certificate")
                    .https_or_http()
                    .enable_http1()
                    .build();
                let service = layer.layer(Client::builder(TokioExecutor::new()).build(https));
                for request in &job.requests {
                    results.push(send(&service, &job.client, request).await);
                }
            }
            Err(error) => results = vec![failure(&error); job.requests.len()],
        }
        Outcome {
            results,
            fetches: Some(calls.load(Ordering::SeqCst)),
        }
    })
}

async fn send(service: &Service, client: &Settings, request: &Request) -> CallerGot {
    let Ok(uri) = request.url.parse::<Uri>() else {
        return CallerGot {
            error: Some(ErrorName::Input),
            ..CallerGot::default()
        };
    };
    let built = built(client, request, uri).await;
    match service.clone().oneshot(built).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let head = head(parts.status, &parts.headers);
            with_body(
                head,
                whole(body, Duration::from_millis(client.timeout_ms)).await,
            )
        }
        Err(error) => failure(error.as_ref()),
    }
}

/// A request to this URI, as a client of `hyper-util` sends it.
pub(super) async fn built(client: &Settings, request: &Request, uri: Uri) -> HttpRequest<Sent> {
    let (body, content_type) = body(&request.body).await;
    let mut built = HttpRequest::new(body);
    *built.method_mut() = request.method.parse().expect("a case has a valid method");
    *built.uri_mut() = uri;
    // This client has no defaults, so its user puts them on each request.
    *built.headers_mut() = headers(&client.default_headers);
    built.headers_mut().extend(headers(&request.headers));
    if let Some(content_type) = content_type {
        let value = content_type.parse().expect("a valid content type");
        built.headers_mut().insert("content-type", value);
    }
    built
}

/// The response body has no timeout in this interface, so its user sets one for each piece.
pub(super) async fn whole(
    mut body: Incoming,
    timeout: Duration,
) -> Result<Vec<u8>, Box<dyn StdError>> {
    let mut whole = Vec::new();
    while let Some(frame) = tokio::time::timeout(timeout, body.frame()).await? {
        if let Ok(data) = frame?.into_data() {
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole)
}

async fn body(body: &Body) -> (Sent, Option<String>) {
    let full = |text: String| {
        let body = Full::new(Bytes::from(text));
        body.map_err(|never| match never {}).boxed_unsync()
    };
    match body {
        Body::None => (
            Empty::new().map_err(|never| match never {}).boxed_unsync(),
            None,
        ),
        Body::Bytes { text } => (full(text.clone()), None),
        Body::File { path, offset, .. } => {
            let mut file = tokio::fs::File::open(path)
                .await
                .expect("the runner's file");
            let start = SeekFrom::Start(*offset as u64);
            file.seek(start)
                .await
                .expect("a file can be read from any place");
            let mut text = String::new();
            file.read_to_string(&mut text)
                .await
                .expect("the runner's file");
            (full(text), None)
        }
        Body::Generator { pieces } => {
            let frames = generator(pieces).map_ok(http_body::Frame::data);
            (BodyExt::boxed_unsync(StreamBody::new(frames)), None)
        }
        Body::Multipart { fields } => (
            full(multipart(fields)),
            Some(format!("multipart/form-data; boundary={BOUNDARY}")),
        ),
    }
}

fn multipart(fields: &[(String, String)]) -> String {
    let parts: String = fields
        .iter()
        .map(|(name, text)| {
            format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
            )
        })
        .collect();
    format!("{parts}--{BOUNDARY}--\r\n")
}

const BOUNDARY: &str = "a-boundary";

/// Larger than the bodies of all cases.
const LIMIT: usize = 4 << 20;
