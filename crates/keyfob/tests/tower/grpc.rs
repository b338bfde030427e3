//! The layer over a channel of `tonic`.

use std::sync::Arc;

use bytes::Bytes;
use futures_channel::mpsc;
use http::uri::PathAndQuery;
use keyfob::tower::{AuthenticationLayer, ReplayBuffered};
use keyfob::{Error, ErrorKind};
use keyfob_testkit::ScriptedSource;
use tonic::Code;
use tonic::transport::Channel;
use tower::Layer;

use crate::fixtures::{tokens, until_replaced};
use crate::grpc_server::{Calls, Raw, serve};

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
