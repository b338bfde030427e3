//! The tower layer under a gRPC client of `tonic`.
//!
//! `cargo run -p keyfob --example tonic --features tower` calls a server on this machine that rejects the first token.

use std::convert::Infallible;

use bytes::{Buf, BufMut, Bytes};
use http::Request;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use keyfob::Token;
use keyfob::error::BoxError;
use keyfob::tower::{AuthenticationLayer, ReplayBuffered};
use keyfob_testkit::ScriptedSource;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tower::{Layer, service_fn};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = start_server("Bearer token-2").await?;
    let source = ScriptedSource::new([Token::new("token-1"), Token::new("token-2")]);

    // Without `replay`, a call whose token is rejected fails, and only the next call has a new token.
    let layer = AuthenticationLayer::builder(source.clone())
        .origin(&url)
        .replay(ReplayBuffered::new(tonic::body::Body::new))
        .build()?;
    let channel = Channel::from_shared(url)?.connect().await?;

    // With generated code this is `GreeterClient::new(layer.layer(channel))`.
    let mut client = tonic::client::Grpc::new(layer.layer(channel));
    client.ready().await?;
    let request = tonic::Request::new(Bytes::from_static(b"hello"));
    let method = PathAndQuery::from_static("/example.Echo/Say");
    let response = client.unary(request, method, RawBytes).await?;
    println!("the server responded: {:?}", response.into_inner());
    Ok(())
}

/// Starts a server with one method that returns its message, and accepts one credential.
async fn start_server(accepted: &'static str) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let say = service_fn(move |call: tonic::Request<Bytes>| async move {
        let credential = call.metadata().get("authorization");
        println!("the server received {credential:?}");
        if credential.is_none_or(|credential| credential != accepted) {
            return Err(Status::unauthenticated("the token is not valid"));
        }
        Ok(tonic::Response::new(call.into_inner()))
    });
    let service = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(tonic::server::Grpc::new(RawBytes).unary(say, request).await)
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let http = http2::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(url)
}

/// A codec whose messages are bytes. Programs use the code that `tonic-prost-build` generates instead.
#[derive(Clone, Copy, Default)]
struct RawBytes;

impl Codec for RawBytes {
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

impl Encoder for RawBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(message);
        Ok(())
    }
}

impl Decoder for RawBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = source.remaining();
        Ok(Some(source.copy_to_bytes(length)))
    }
}
