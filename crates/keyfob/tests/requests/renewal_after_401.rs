//! R3: a 401 means compare, renew, replay once.

use std::sync::atomic::Ordering;

use keyfob::{Error, Session, Token};
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, ScriptedSource, Server};
use reqwest::Body;
use reqwest::multipart::Form;

use crate::fixtures::{bearers, numbered, session, soon};

const INVALID: &str = "Bearer error=\"invalid_token\"";

#[tokio::test]
async fn r3_a_401_renews_the_token_and_replays_the_request_once() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    server
        .expect(
            Expect::get("/data")
                .bearer("token-1")
                .respond(ScriptedResponse::unauthorized(INVALID)),
        )
        .expect(
            Expect::get("/data")
                .bearer("token-2")
                .respond(ScriptedResponse::text("fine")),
        );
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn r3_each_of_many_401s_is_replayed_if_the_new_tokens_are_accepted() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    for _ in 0..10 {
        let in_turn = Expect::get("/data")
            .respond(ScriptedResponse::unauthorized(INVALID))
            .respond(ScriptedResponse::status(200));
        server.expect(in_turn);
    }
    for request in 0..10 {
        let response = session.get("data").send().await.unwrap();
        assert_eq!(response.status(), 200, "request {request}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn r3_the_body_is_replayed_in_full_also_for_a_post() {
    let server = Server::start();
    let (hook, _) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    server.expect(
        Expect::post("/orders")
            .respond(ScriptedResponse::unauthorized(INVALID))
            .respond(ScriptedResponse::status(201)),
    );
    let body = vec![b'x'; 300_000];
    let response = session.post("orders").body(body).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let received = server.received();
    assert_eq!(received[0].body_length, 300_000);
    assert_eq!(received[1].body_length, 300_000);
    assert_eq!(received[0].checksum, received[1].checksum);
    assert_eq!(received[1].header("content-length"), Some("300000"));
}

#[tokio::test]
async fn r3_a_body_that_can_be_made_again_is_replayed_and_follows_a_307() {
    let server = Server::start();
    let session = Session::new(server.url(), numbered().0).unwrap();
    server
        .expect(
            Expect::post("/a")
                .respond(ScriptedResponse::unauthorized(INVALID))
                .respond(ScriptedResponse::redirect(307, "/b"))
                .respond(ScriptedResponse::redirect(303, "/c")),
        )
        .expect(Expect::post("/b").respond(ScriptedResponse::status(201)))
        .expect(Expect::get("/c").respond(ScriptedResponse::status(200)));
    let make = || {
        let pieces = ["some", "thing"].map(Ok::<_, Error>);
        Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    let response = session.post("a").body_from(make).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let response = session.post("a").body_from(make).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let lengths: Vec<_> = server.received().iter().map(|r| r.body_length).collect();
    assert_eq!(lengths, [9, 9, 9, 9, 0]);
    // A later body takes its place, also for what is sent again.
    server.expect(
        Expect::put("/d")
            .respond(ScriptedResponse::unauthorized(INVALID))
            .respond(ScriptedResponse::status(201)),
    );
    let request = session.put("d").body_from(make).body("other");
    assert_eq!(request.send().await.unwrap().status(), 201);
    let received = server.received();
    assert!(received[5..].iter().all(|r| r.body == "other"));
}

#[tokio::test]
async fn r3_a_streamed_body_is_not_replayed_but_the_token_is_renewed() {
    let server = Server::start();
    let source = GatedSource::new();
    let session = Session::new(server.url(), source.clone()).unwrap();
    let first = {
        let session = session.clone();
        tokio::spawn(async move { session.authenticate().await })
    };
    source.next_call().await.respond(Token::new("one"));
    first.await.unwrap().unwrap();
    server
        .expect(
            Expect::post("/upload")
                .bearer("one")
                .respond(ScriptedResponse::unauthorized(INVALID)),
        )
        .expect(
            Expect::get("/data")
                .bearer("two")
                .respond(ScriptedResponse::status(200)),
        );
    let pieces = futures_util::stream::iter(["some", "thing"].map(Ok::<_, Error>));
    let upload = session.post("upload").body(Body::wrap_stream(pieces));
    let sent = tokio::spawn(upload.send());
    let call = soon(source.next_call()).await;
    assert_eq!(call.request().reason(), keyfob::source::Reason::Rejected);
    assert!(!sent.is_finished(), "the renewal has not ended");
    call.respond(Token::new("two"));
    let response = soon(sent).await.unwrap().unwrap();
    assert_eq!(response.status(), 401);
    // An upload that is made again at once carries the new token.
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.received()[0].body_length, 9);
}

#[tokio::test]
async fn r3_a_multipart_body_is_sent_once() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    server.expect(Expect::put("/upload").respond(ScriptedResponse::unauthorized(INVALID)));
    let form = Form::new().text("name", "value");
    let response = session.put("upload").multipart(form).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(server.received()[0].body_length > 0);
}

#[tokio::test]
async fn r3_an_unchanged_token_is_not_sent_and_the_401_is_returned() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server.expect(
        Expect::get("/data").respond(ScriptedResponse::unauthorized(INVALID).body("why not")),
    );
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], INVALID);
    assert_eq!(response.text().await.unwrap(), "why not");
}

#[tokio::test]
async fn r3_insufficient_scope_does_not_renew() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    let challenge = "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"write\"";
    server
        .expect(Expect::get("/data").respond(ScriptedResponse::unauthorized(challenge)))
        .expect(Expect::get("/forbidden").respond(ScriptedResponse::status(403)));
    assert_eq!(session.get("data").send().await.unwrap().status(), 401);
    assert_eq!(session.get("forbidden").send().await.unwrap().status(), 403);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn r3_endless_401s_are_returned_and_do_not_renew_each_time() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    server.expect(Expect::get("/data").always(ScriptedResponse::unauthorized(INVALID).body("no")));
    for n in 0..50 {
        let response = session.get("data").send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.text().await.unwrap(), "no");
        assert!(n > 0 || bearers(&server) == ["token-1", "token-2"]);
    }
    let (calls, requests) = (calls.load(Ordering::SeqCst), server.calls());
    assert!(calls <= 5, "{calls} calls of the source");
    assert!(requests <= 55, "{requests} requests");
}

#[tokio::test]
async fn r3_a_failed_renewal_returns_the_401_and_keeps_the_token() {
    let server = Server::start();
    let source = ScriptedSource::new([Token::new("one"), Err(Error::unavailable("down"))]);
    let session = Session::new(server.url(), source.clone()).unwrap();
    server
        .expect(
            Expect::get("/strict").respond(ScriptedResponse::unauthorized(INVALID).body("strict")),
        )
        .expect(Expect::get("/other").respond(ScriptedResponse::status(200)));
    let response = session.get("strict").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.text().await.unwrap(), "strict");
    assert_eq!(session.get("other").send().await.unwrap().status(), 200);
    assert_eq!(bearers(&server), ["one", "one"]);
}

#[tokio::test]
async fn r3_a_401_without_a_usable_challenge_renews_the_token_too() {
    for response in [
        ScriptedResponse::status(401),
        ScriptedResponse::unauthorized("=,\",\"Bearer error="),
        ScriptedResponse::unauthorized("Basic realm=\"x\""),
    ] {
        let server = Server::start();
        let (hook, _) = numbered();
        let session = Session::new(server.url(), hook).unwrap();
        server.expect(
            Expect::get("/data")
                .respond(response)
                .respond(ScriptedResponse::status(200)),
        );
        assert_eq!(session.get("data").send().await.unwrap().status(), 200);
        assert_eq!(bearers(&server), ["token-1", "token-2"]);
    }
}

#[tokio::test]
async fn r3_a_hundred_late_401s_for_one_token_cause_one_renewal() {
    let server = Server::start();
    let (hook, calls) = numbered();
    let session = Session::new(server.url(), hook).unwrap();
    session.authenticate().await.unwrap();
    server.expect(Expect::get("/data").respond_with(|received| {
        if received.bearer() == Some("token-1") {
            ScriptedResponse::unauthorized(INVALID)
        } else {
            ScriptedResponse::status(200)
        }
    }));
    let requests = (0..100).map(|_| session.get("data").send());
    for response in futures_util::future::join_all(requests).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn r3_a_replay_that_gets_a_503_is_retried_like_any_request() {
    let server = Server::start();
    let (hook, _) = numbered();
    let session = Session::builder(hook)
        .base_url(server.url())
        .retry(crate::fixtures::promptly())
        .build()
        .unwrap();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::unauthorized(INVALID))
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::text("fine")),
    );
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    assert_eq!(bearers(&server), ["token-1", "token-2", "token-2"]);
}
