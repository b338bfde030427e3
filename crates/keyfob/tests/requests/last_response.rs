//! R6: when the retries end, the caller gets the last response or error.

use std::io::Error as IoError;

use keyfob::{Error, ErrorKind, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};

use crate::error_texts::error_texts;
use crate::fixtures::{SECOND, bearers, cause, meanwhile, promptly, session};
use crate::late_server::LateServer;

#[tokio::test]
async fn r6_the_last_error_is_returned_with_its_cause_and_without_the_url() {
    let server = Server::start();
    let late = LateServer::new(server.address(), 100);
    let request = late.session().post("data?name=PATIENT").body("s3cret");
    let error = request.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(late.lookups(), 4);
    let connect = cause::<reqwest::Error>(&error).unwrap();
    assert!(connect.is_connect() && connect.url().is_none());
    let io = cause::<IoError>(&error).unwrap();
    assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
    let texts = error_texts(&error);
    assert!(error.to_string().starts_with("POST http://api.test "));
    assert!(
        !texts.contains("PATIENT") && !texts.contains("/data"),
        "{texts}"
    );
}

#[tokio::test]
async fn r6_a_broken_response_is_an_error_without_the_url() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    for fault in [
        ScriptedResponse::reset(),
        ScriptedResponse::close(),
        ScriptedResponse::garbage(),
    ] {
        server.expect(Expect::get("/patients").respond(fault).times(4));
        let error = session
            .get("patients?name=PATIENT")
            .send()
            .await
            .unwrap_err();
        assert!(cause::<reqwest::Error>(&error).is_some());
        let texts = error_texts(&error);
        assert!(
            !texts.contains("atient") && !texts.contains("PATIENT"),
            "{texts}"
        );
    }
}

#[tokio::test]
async fn r6_the_last_response_is_returned_with_its_body() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::unavailable().body("first"))
            .respond(ScriptedResponse::status(500).body("second"))
            .respond(ScriptedResponse::status(502).body("third"))
            .respond(
                ScriptedResponse::status(504)
                    .body("last")
                    .header("x-last", "yes"),
            ),
    );
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["x-last"], "yes");
    assert_eq!(response.text().await.unwrap(), "last");
}

#[tokio::test]
async fn r6_whichever_of_response_and_error_comes_last_is_returned() {
    let server = Server::start();
    let session = session(&server, &ManualClock::default());
    server
        .expect(
            Expect::get("/response")
                .respond(ScriptedResponse::reset())
                .respond(ScriptedResponse::unavailable())
                .respond(ScriptedResponse::close())
                .respond(ScriptedResponse::unavailable().body("last")),
        )
        .expect(
            Expect::get("/error")
                .respond(ScriptedResponse::unavailable())
                .times(3)
                .respond(ScriptedResponse::reset()),
        );
    let response = session.get("response").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "last");
    let error = session.get("error").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn r6_without_a_token_for_a_retry_the_last_response_is_returned() {
    let clock = ManualClock::default();
    let server = Server::start();
    let minute = Token::new("one").map(|token| token.expires_in(60 * SECOND));
    let source = ScriptedSource::new([minute, Err(Error::refused("revoked for good"))]);
    let tokens = TokenCache::builder(source.clone()).clock(clock.clone());
    let session = Session::builder(tokens.build().unwrap())
        .base_url(server.url())
        .retry(promptly())
        .build()
        .unwrap();
    server.expect(
        Expect::get("/data").respond(ScriptedResponse::too_many_requests("70").body("later")),
    );
    let time_passes = async {
        clock.until_sleeping_for(70 * SECOND).await;
        clock.advance(80 * SECOND);
    };
    let (response, ()) = meanwhile(session.get("data").send(), time_passes).await;
    let response = response.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.text().await.unwrap(), "later");
    assert_eq!(bearers(&server), ["one"]);
}
