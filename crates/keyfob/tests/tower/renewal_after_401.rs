//! R3: a 401 renews the token, and the request is replayed once.

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use keyfob::error::BoxError;
use keyfob::tower::ReplayCloned;
use keyfob_testkit::{Expect, ScriptedResponse, Server};
use tower::{Layer, Service, ServiceExt};

use crate::fixtures::{builder, full, get, h1, h2, request, tokens};

async fn check_renewal_and_replay<S, R>(client: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Send + 'static,
{
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::post("/jobs")
            .bearer("one")
            .respond(ScriptedResponse::unauthorized(
                "Bearer error=\"invalid_token\"",
            )),
    );
    server.expect(
        Expect::post("/jobs")
            .bearer("two")
            .header("x-own", "kept")
            .respond(ScriptedResponse::text("done")),
    );
    let layer = builder(&server, &source)
        .replay(ReplayCloned)
        .build()
        .unwrap();
    let mut request = request(Method::POST, server.url_for("/jobs"), full("work"));
    let own = (HeaderName::from_static("x-own"), "kept".parse().unwrap());
    request.headers_mut().extend([own]);
    let response = layer.layer(client).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "done");
    let received = server.received();
    assert!(received.iter().all(|request| request.body == "work"));
    server.verify();
}

#[tokio::test]
async fn r3_a_401_renews_and_is_replayed_once_over_http_1() {
    check_renewal_and_replay(h1()).await;
}

#[tokio::test]
async fn r3_a_401_renews_and_is_replayed_once_over_http_2() {
    check_renewal_and_replay(h2()).await;
}

#[tokio::test]
async fn r3_a_second_401_is_returned_as_it_is() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(
        Expect::get("/")
            .respond(ScriptedResponse::unauthorized("Bearer"))
            .respond(ScriptedResponse::unauthorized("Bearer").body("no")),
    );
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "no"
    );
    server.verify();
}

#[tokio::test]
async fn r3_a_missing_scope_does_not_renew() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let challenge = "Bearer error=\"insufficient_scope\"";
    server.expect(Expect::get("/").respond(ScriptedResponse::unauthorized(challenge)));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    server.verify();
}

#[tokio::test]
async fn r3_an_unchanged_token_is_not_sent_again() {
    let (server, source) = (Server::start(), tokens(&["one", "one"]));
    server.expect(Expect::get("/").respond(ScriptedResponse::unauthorized("Bearer")));
    let layer = builder(&server, &source).build().unwrap();
    let response = layer.layer(h1()).oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 401);
    server.verify();
}

#[tokio::test]
async fn r3_a_rejected_token_is_replaced_even_if_the_body_cannot_be_sent_again() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    let upload = Expect::put("/upload");
    server.expect(upload.respond(ScriptedResponse::unauthorized("Bearer")));
    server.expect(
        Expect::get("/")
            .bearer("two")
            .respond(ScriptedResponse::status(204)),
    );
    let layer = builder(&server, &source).build().unwrap();
    let client = layer.layer(h1());
    let put = request(Method::PUT, server.url_for("/upload"), full("x"));
    assert_eq!(client.clone().oneshot(put).await.unwrap().status(), 401);
    assert_eq!(
        source.calls(),
        2,
        "the renewal ended before the response came"
    );
    let response = client.oneshot(get(server.url())).await.unwrap();
    assert_eq!(response.status(), 204);
    server.verify();
}
