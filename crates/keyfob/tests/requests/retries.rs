//! R4: which requests are sent again, after which faults.

use std::io::Error as IoError;

use futures_util::stream;
use http::{Method, StatusCode};
use keyfob::ErrorKind;
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};
use reqwest::Body;
use reqwest::multipart::{Form, Part};

use crate::fixtures::{SECOND, cause, meanwhile, session, soon};
use crate::late_server::LateServer;

const IDEMPOTENT: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PUT,
    Method::DELETE,
];

/// Faults after which the client does not know whether the server handled the request.
fn transient_faults() -> Vec<ScriptedResponse> {
    let mut faults = vec![
        ScriptedResponse::reset(),
        ScriptedResponse::close(),
        ScriptedResponse::garbage(),
    ];
    let statuses = [408, 425, 429, 500, 502, 503, 504];
    faults.extend(statuses.map(|status| ScriptedResponse::status(status).body("no")));
    faults
}

#[tokio::test]
async fn r4_idempotent_methods_are_retried_on_every_transient_fault() {
    let server = Server::start();
    for method in IDEMPOTENT {
        let session = session(&server, &ManualClock::default());
        for fault in transient_faults() {
            server.expect(
                Expect::method(method.clone(), "/data")
                    .respond(fault.clone())
                    .respond(ScriptedResponse::status(204)),
            );
            let response = session.request(method.clone(), "data").send().await;
            assert_eq!(response.unwrap().status(), 204, "{method} {fault:?}");
        }
    }
}

#[tokio::test]
async fn r4_post_and_patch_are_sent_once() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for method in [Method::POST, Method::PATCH] {
        for (n, fault) in transient_faults().into_iter().enumerate() {
            let path = format!("/{method}/{n}");
            server.expect(Expect::method(method.clone(), &path).respond(fault.clone()));
            let request = session.request(method.clone(), &path).body("order");
            match (request.send().await, fault.status_code()) {
                (Ok(response), Some(status)) => assert_eq!(response.status(), status),
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Transport),
                (other, _) => panic!("{path}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn r4_a_post_with_an_idempotency_key_or_marked_idempotent_is_retried() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for fault in transient_faults() {
        server.expect(
            Expect::post("/orders")
                .header("idempotency-key", "k1")
                .json(keyfob_testkit::json!({ "item": 42 }))
                .respond(fault.clone())
                .respond(ScriptedResponse::status(201)),
        );
        server.expect(
            Expect::patch("/orders")
                .respond(fault)
                .respond(ScriptedResponse::status(200)),
        );
        let response = session
            .post("orders")
            .header("Idempotency-Key", "k1")
            .json(&keyfob_testkit::json!({ "item": 42 }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201);
        let response = session.patch("orders").body("x").idempotent().send().await;
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn r4_a_hang_is_retried_for_a_get_and_an_error_for_a_post() {
    let clock = ManualClock::default();
    let server = Server::start();
    let session = session(&server, &clock);
    server
        .expect(
            Expect::get("/data")
                .respond(ScriptedResponse::hang())
                .respond(ScriptedResponse::text("late")),
        )
        .expect(Expect::post("/data").respond(ScriptedResponse::hang()));
    let time_passes = |calls| {
        let (clock, server) = (&clock, &server);
        async move {
            server.until_calls(calls).await;
            clock.until_sleeping(1).await;
            clock.advance(20 * SECOND);
        }
    };
    let (response, ()) = meanwhile(session.get("data").send(), time_passes(1)).await;
    assert_eq!(response.unwrap().text().await.unwrap(), "late");
    let (response, ()) = meanwhile(session.post("data").body("x").send(), time_passes(3)).await;
    let error = response.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    let timed_out = cause::<IoError>(&error).unwrap();
    assert_eq!(timed_out.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn r4_a_refused_connection_is_retried_for_any_method() {
    for method in [Method::GET, Method::POST] {
        let server = Server::start();
        server.expect(Expect::path("/data").respond(ScriptedResponse::status(200)));
        let late = LateServer::new(server.address(), 3);
        let session = late.session();
        let request = session.request(method.clone(), "data").body("order");
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(late.lookups(), 4, "{method}");
        assert_eq!(server.received()[0].body_length, 5);
    }
}

#[tokio::test]
async fn r4_any_method_is_retried_on_429_or_503_with_retry_after() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for method in [Method::POST, Method::PATCH, Method::GET] {
        for status in [429, 503] {
            let busy = ScriptedResponse::status(status).header("retry-after", "0");
            let path = format!("/{method}/{status}");
            server.expect(
                Expect::method(method.clone(), &path)
                    .respond(busy)
                    .respond(ScriptedResponse::status(200)),
            );
            let response = session.request(method.clone(), &path).body("whole").send();
            assert_eq!(response.await.unwrap().status(), 200);
        }
        let path = format!("/{method}/500");
        let broken = ScriptedResponse::status(500).header("retry-after", "0");
        server.expect(Expect::method(method.clone(), &path).always(broken));
        let calls = server.calls();
        session.request(method.clone(), &path).send().await.unwrap();
        let sent = server.calls() - calls;
        assert_eq!(sent, if method == Method::GET { 4 } else { 1 });
    }
    assert!(
        server
            .received()
            .iter()
            .filter(|got| got.method != Method::GET)
            .all(|got| { got.body_length == 5 || got.path.ends_with("500") })
    );
}

#[tokio::test]
async fn r4_a_post_is_not_retried_on_an_invalid_retry_after() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for nonsense in ["soon", "-1", "1e3", "Thu, 32 Jan 2030 00:00:00 GMT"] {
        server
            .expect(Expect::post("/orders").respond(ScriptedResponse::too_many_requests(nonsense)));
        let response = session.post("orders").body("x").send().await.unwrap();
        assert_eq!(response.status(), 429, "{nonsense}");
    }
}

#[tokio::test]
async fn r4_a_404_is_retried_only_if_the_caller_asks_for_it() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server
        .expect(Expect::get("/plain").respond(ScriptedResponse::status(404)))
        .expect(
            Expect::get("/wanted")
                .respond(ScriptedResponse::status(404))
                .respond(ScriptedResponse::status(200)),
        )
        .expect(
            Expect::get("/unwanted")
                .respond(ScriptedResponse::unavailable().header("retry-after", "0")),
        );
    assert_eq!(session.get("plain").send().await.unwrap().status(), 404);
    let wanted = session
        .get("wanted")
        .retry(|policy| policy.retry(StatusCode::NOT_FOUND));
    assert_eq!(wanted.send().await.unwrap().status(), 200);
    let unwanted = session
        .get("unwanted")
        .retry(|policy| policy.do_not_retry(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(unwanted.send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn r4_a_streamed_body_is_never_sent_again_and_never_empty() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for (n, fault) in transient_faults().into_iter().enumerate() {
        let path = format!("/{n}");
        server.expect(Expect::put(&path).respond(fault.clone()).respond(fault));
        let pieces = stream::iter([vec![b'x'; 500], vec![b'y'; 500]].map(Ok::<_, IoError>));
        let streamed = session.put(&path).body(Body::wrap_stream(pieces));
        let _ = soon(streamed.send()).await;
        let part = Part::stream(Body::wrap_stream(stream::iter([Ok::<_, IoError>("file")])));
        let form = Form::new().text("name", "value").part("file", part);
        let _ = session.put(&path).multipart(form).send().await;
        let lengths: Vec<_> = server.received()[2 * n..]
            .iter()
            .map(|got| got.body_length)
            .collect();
        assert_eq!(lengths.len(), 2, "{path}");
        assert_eq!(lengths[0], 1000);
        assert!(lengths[1] > 100);
    }
}

#[tokio::test]
async fn r4_a_streamed_body_is_not_sent_again_even_if_marked_idempotent() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let busy = ScriptedResponse::too_many_requests("0");
    server.expect(Expect::post("/upload").respond(busy));
    let pieces = stream::iter([Ok::<_, IoError>("all of it")]);
    let streamed = session.post("upload").body(Body::wrap_stream(pieces));
    let response = streamed.idempotent().send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(server.received()[0].body_length, 9);
}

#[tokio::test]
async fn r4_a_reset_in_the_middle_of_an_upload_replays_the_whole_body() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    let body = vec![b'x'; 2_000_000];
    server.expect(
        Expect::put("/upload")
            .respond(ScriptedResponse::reset_in_upload())
            .respond(ScriptedResponse::status(200)),
    );
    let response = session.put("upload").body(body.clone()).send().await;
    assert_eq!(response.unwrap().status(), 200);
    let last = server.received().pop().unwrap();
    assert_eq!(last.body_length, 2_000_000);
    assert_eq!(last.checksum, keyfob_testkit::checksum([body.as_slice()]));
}
