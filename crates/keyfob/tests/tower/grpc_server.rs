//! A gRPC server whose messages are bytes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use http::Request;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tower::service_fn;

/// Messages that are bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

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
pub(crate) type Calls = Arc<Mutex<Vec<(String, Vec<Bytes>)>>>;

/// A server with one method, which records its calls, and accepts one credential.
pub(crate) async fn serve(accepted: &'static str, calls: Calls) -> String {
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
