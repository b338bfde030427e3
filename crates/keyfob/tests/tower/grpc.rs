//! The layer over a channel of `tonic`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::StreamExt;
use http::Request;
use http::uri::PathAndQuery;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use keyfob::tower::{AuthenticationLayer, ReplayBuffered};
use keyfob::{Error, ErrorKind};
use keyfob_testkit::ScriptedSource;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Layer, service_fn};

use crate::fixtures::{tokens, until_replaced};

/// Messages that are bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(target, item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let left = bytes::Buf::remaining(source);
        Ok(Some(bytes::Buf::copy_to_bytes(source, left)))
    }
}

/// The credential and the messages of each call.
type Calls = Arc<Mutex<Vec<(String, Vec<Bytes>)>>>;

/// A server with one method, which records its calls, and accepts one credential.
async fn serve(accepted: &'static str, calls: Calls) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let calls = Arc::clone(&calls);
        async move {
            let handler = service_fn(move |call: tonic::Request<tonic::Streaming<Bytes>>| {
                let calls = Arc::clone(&calls);
                async move {
                    let credential = call.metadata().get("authorization").unwrap();
                    let credential = credential.to_str().unwrap().to_owned();
                    let messages = call.into_inner().map(Result::unwrap);
                    let messages: Vec<Bytes> = messages.collect().await;
                    let reply = messages.concat();
                    let allowed = credential == accepted;
                    calls.lock().unwrap().push((credential, messages));
                    if !allowed {
                        return Err(Status::unauthenticated("token expired"));
                    }
                    Ok(tonic::Response::new(Bytes::from(reply)))
                }
            });
            let mut server = tonic::server::Grpc::new(Raw);
            Ok::<_, Infallible>(server.client_streaming(handler, request).await)
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    url
}

fn layer(
    url: &str,
    source: &ScriptedSource,
) -> AuthenticationLayer<ReplayBuffered<tonic::body::Body>> {
    AuthenticationLayer::builder(source.clone())
        .origin(url)
        .replay(ReplayBuffered::new(tonic::body::Body::new))
        .build()
        .unwrap()
}

fn channel(url: &str) -> Channel {
    Channel::from_shared(url.to_owned()).unwrap().connect_lazy()
}

const METHOD: PathAndQuery = PathAndQuery::from_static("/test.Test/Join");

#[tokio::test]
async fn r3_a_unary_call_is_replayed_in_full_with_a_new_token() {
    let (calls, source) = (Calls::default(), tokens(&["one", "two"]));
    let url = serve("Bearer two", Arc::clone(&calls)).await;
    let mut client = tonic::client::Grpc::new(layer(&url, &source).layer(channel(&url)));
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::from_static(b"hello"));
    let response = client.unary(request, METHOD, Raw).await.unwrap();
    assert_eq!(response.into_inner(), "hello");
    let message = || vec![Bytes::from_static(b"hello")];
    assert_eq!(
        *calls.lock().unwrap(),
        [
            ("Bearer one".to_owned(), message()),
            ("Bearer two".to_owned(), message())
        ]
    );
}

#[tokio::test]
async fn r3_a_stream_of_messages_is_sent_once() {
    let (calls, source) = (Calls::default(), tokens(&["one", "two"]));
    let url = serve("Bearer two", Arc::clone(&calls)).await;
    let layer = layer(&url, &source);
    let mut client = tonic::client::Grpc::new(layer.layer(channel(&url)));
    client.ready().await.unwrap();
    let (messages, stream) = mpsc::unbounded();
    messages.unbounded_send(Bytes::from_static(b"a")).unwrap();
    let request = tonic::Request::new(stream);
    let response = client.client_streaming(request, METHOD, Raw);
    let rest = async {
        tokio::task::yield_now().await;
        messages.unbounded_send(Bytes::from_static(b"b")).unwrap();
        drop(messages);
    };
    let (response, ()) = tokio::join!(response, rest);
    assert_eq!(response.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        *calls.lock().unwrap(),
        [(
            "Bearer one".to_owned(),
            vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]
        )]
    );
    // The rejected token is replaced for the calls that follow.
    until_replaced(layer.tokens()).await;
}

#[tokio::test]
async fn r2_a_missing_token_is_the_source_of_the_status() {
    let source = ScriptedSource::new([Err(Error::refused("the account is closed"))]);
    let url = "http://127.0.0.1:1";
    let mut client = tonic::client::Grpc::new(layer(url, &source).layer(channel(url)));
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::new());
    let status = client.unary(request, METHOD, Raw).await.unwrap_err();
    let cause = std::error::Error::source(&status).unwrap();
    let error = cause.downcast_ref::<Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
}
