//! The caller gets the response of `reqwest` with all its parts.

use std::time::Duration;

use http::Version;
use keyfob::Session;
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, Server};
use reqwest::Body;
use reqwest::multipart::Form;
use tokio::runtime::Builder;

use crate::fixtures::{bearers, builder, session, soon};

#[tokio::test]
async fn a_response_has_its_url_address_length_and_version() {
    let server = Server::start();
    server
        .expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, "/data?x=1")))
        .expect(
            Expect::get("/data")
                .respond(ScriptedResponse::text("twelve bytes").header("x-seen", "yes")),
        )
        .expect(Expect::get("/chunked").respond(ScriptedResponse::text("twelve bytes").chunked()))
        .expect(Expect::head("/data").respond(ScriptedResponse::text("twelve bytes")));
    let session = session(&server, &ManualClock::default());
    let response = session.get("start").send().await.unwrap();
    assert_eq!(response.url().as_str(), server.url_for("/data?x=1"));
    assert_eq!(response.remote_addr(), Some(server.address()));
    assert_eq!(response.content_length(), Some(12));
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(response.headers()["x-seen"], "yes");
    assert_eq!(response.text().await.unwrap(), "twelve bytes");
    let response = session.get("chunked").send().await.unwrap();
    assert_eq!(response.content_length(), None);
    assert_eq!(response.text().await.unwrap(), "twelve bytes");
    let response = session.head("data").send().await.unwrap();
    let plain = reqwest::Client::new();
    server.expect(Expect::head("/plain").respond(ScriptedResponse::text("twelve bytes")));
    let expected = plain.head(server.url_for("/plain")).send().await.unwrap();
    assert_eq!(response.content_length(), expected.content_length());
    assert_eq!(response.headers()["content-length"], "12");
}

#[tokio::test]
async fn a_status_is_a_response_and_not_an_error() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for status in [400, 403, 404, 409, 501] {
        server.expect(Expect::get("/data").respond(ScriptedResponse::status(status).body("why")));
        let response = session.get("data").send().await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.error_for_status().is_err());
    }
}

#[tokio::test]
async fn a_303_is_followed_with_a_get_without_body_and_content_headers() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let form = || Form::new().text("name", "value");
    let streamed = || Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("x")]));
    for (status, request) in [
        (303, session.post("orders").json(&[1, 2, 3])),
        (302, session.post("orders").json(&[1, 2, 3])),
        (303, session.put("orders").json(&[1, 2, 3])),
        (303, session.post("orders").multipart(form())),
        (301, session.post("orders").body(streamed())),
    ] {
        server
            .expect(
                Expect::path("/orders").respond(ScriptedResponse::redirect(status, "/orders/7")),
            )
            .expect(Expect::get("/orders/7").respond(ScriptedResponse::text("done")));
        let response = request.header("x-kept", "yes").send().await.unwrap();
        assert_eq!(response.url().path(), "/orders/7");
        assert_eq!(response.text().await.unwrap(), "done");
        let received = server.received().pop().unwrap();
        for name in ["content-type", "content-length", "transfer-encoding"] {
            assert_eq!(received.header(name), None, "{name}");
        }
        assert_eq!(received.body_length, 0);
        assert_eq!(received.bearer(), Some("t0ken"));
        assert_eq!(received.header("x-kept"), Some("yes"));
    }
}

#[tokio::test]
async fn the_get_after_a_303_is_retried_and_replayed_like_any_get() {
    let server = Server::start();
    let session = Session::builder(crate::fixtures::numbered().0)
        .base_url(server.url())
        .retry(crate::fixtures::promptly())
        .build()
        .unwrap();
    let form = Form::new().text("name", "value");
    server
        .expect(Expect::post("/orders").respond(ScriptedResponse::redirect(303, "/orders/7")))
        .expect(
            Expect::get("/orders/7")
                .respond(ScriptedResponse::unavailable())
                .respond(ScriptedResponse::unauthorized("Bearer"))
                .respond(ScriptedResponse::text("done")),
        );
    let response = session.post("orders").multipart(form).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "done");
    assert_eq!(bearers(&server)[2..], ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_307_sends_the_same_body_again_unless_it_was_streamed() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server
        .expect(
            Expect::post("/a")
                .respond(ScriptedResponse::redirect(307, "/b"))
                .times(2),
        )
        .expect(Expect::post("/b").respond(ScriptedResponse::status(201)));
    let response = session.post("a").body("whole").send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(server.received()[1].body, "whole");
    let form = Form::new().text("name", "value");
    let response = session.post("a").multipart(form).send().await.unwrap();
    assert_eq!(response.status(), 307);
}

#[tokio::test]
async fn http2_with_prior_knowledge_works() {
    let server = Server::start();
    server.expect(
        Expect::any()
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::text("fine"))
            .respond(ScriptedResponse::text("again"))
            .respond(ScriptedResponse::text("large")),
    );
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let session = builder(&ManualClock::default())
        .base_url(server.url())
        .client(client)
        .build()
        .unwrap();
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), "fine");
    let response = session.post("data").body("body").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "again");
    let large = vec![b'x'; 1_000_000];
    let response = session.put("data").body(large).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "large");
    assert_eq!(server.received()[3].body_length, 1_000_000);
    assert_eq!(bearers(&server), ["t0ken"; 4]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn t7_a_dropped_request_closes_its_connection_and_the_session_still_works() {
    let server = Server::start();
    server
        .expect(Expect::get("/hangs").respond(ScriptedResponse::hang()))
        .expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let clock = ManualClock::default();
    let session = session(&server, &clock);
    let mut request = Box::pin(session.get("hangs").send());
    tokio::select! {
        _ = &mut request => unreachable!("it hangs"),
        () = server.until_calls(1) => {}
    }
    drop(request);
    // The one timer of the session, for all of its requests.
    assert_eq!(clock.sleepers(), 1);
    session.get("data").send().await.unwrap();
    let connections: Vec<_> = server.received().iter().map(|got| got.connection).collect();
    assert_eq!(connections, [1, 2]);
}

#[tokio::test]
async fn t7_a_request_dropped_while_it_waits_for_a_token_does_not_end_the_fetch() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .bearer("late")
            .respond(ScriptedResponse::status(200)),
    );
    let source = GatedSource::new();
    let session = Session::new(server.url(), source.clone()).unwrap();
    let mut request = Box::pin(session.get("data").send());
    let call = tokio::select! {
        _ = &mut request => unreachable!("there is no token"),
        call = source.next_call() => call,
    };
    drop(request);
    assert!(!call.was_dropped());
    call.respond(keyfob::Token::new("late"));
    session.get("data").send().await.unwrap();
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn a_thousand_requests_at_once_share_one_token() {
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::text("fine"))
            .times(1000),
    );
    let (hook, calls) = crate::fixtures::numbered();
    let session = Session::new(server.url(), hook).unwrap();
    let requests = (0..1000).map(|_| async {
        let response = session.get("data").send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "fine");
    });
    soon(futures_util::future::join_all(requests)).await;
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_request_is_sent_only_when_its_future_is_polled() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::text("here")));
    let session = session(&server, &ManualClock::default());
    // Outside of a runtime, so no timer can run.
    let sent = session.get("data").timeout(Duration::from_secs(20)).send();
    assert_eq!(server.calls(), 0);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(sent).unwrap();
    assert_eq!(runtime.block_on(response.text()).unwrap(), "here");
}

#[test]
fn the_future_of_a_request_is_small() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let sent = session.get("data").send();
    assert!(size_of_val(&sent) <= 2 * size_of::<usize>());
}
