//! R9: the caller's headers and URL stay as they are, and a request has one credential.

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use keyfob::{Session, Token};
use keyfob_testkit::{Expect, ManualClock, Received, ScriptedResponse, Server};
use reqwest::Request;

use crate::fixtures::{builder, fixed, session};

fn authorizations(received: &Received) -> Vec<&HeaderValue> {
    received.headers.get_all(AUTHORIZATION).iter().collect()
}

#[tokio::test]
async fn r9_the_callers_headers_are_kept_but_for_the_credential() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("caller/1.0"));
    headers.append("x-twice", HeaderValue::from_static("a"));
    headers.append("x-twice", HeaderValue::from_static("b"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer caller"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Basic Y2FsbGVy"));
    session(&server, &ManualClock::default())
        .get("data")
        .headers(headers)
        .query(&[("q", "1")])
        .send()
        .await
        .unwrap();
    let received = &server.received()[0];
    assert_eq!(authorizations(received), ["Bearer t0ken"]);
    assert_eq!(received.header("user-agent"), Some("caller/1.0"));
    let twice: Vec<_> = received.headers.get_all("x-twice").iter().collect();
    assert_eq!(twice, ["a", "b"]);
    assert_eq!(received.query.as_deref(), Some("q=1"));
}

#[tokio::test]
async fn r9_the_credential_wins_over_the_defaults_of_the_client() {
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let mut defaults = HeaderMap::new();
    defaults.insert(AUTHORIZATION, HeaderValue::from_static("Bearer default"));
    defaults.insert("x-default", HeaderValue::from_static("kept"));
    let client = reqwest::Client::builder().default_headers(defaults);
    let session = builder(&ManualClock::default())
        .base_url(server.url())
        .client(client)
        .build()
        .unwrap();
    session.get("data").send().await.unwrap();
    let received = &server.received()[0];
    assert_eq!(authorizations(received), ["Bearer t0ken"]);
    assert_eq!(received.header("x-default"), Some("kept"));
}

#[tokio::test]
async fn r9_userinfo_in_a_url_is_no_second_credential() {
    let server = Server::start();
    server.expect(Expect::any().always(ScriptedResponse::status(200)));
    let url = format!("http://user:pass@{}", server.address());
    let clock = ManualClock::default();
    let in_field = Token::new("t0ken")
        .unwrap()
        .header_name(HeaderName::from_static("x-api-key"));
    for (token, expected) in [
        (Token::new("t0ken").unwrap(), vec!["Bearer t0ken"]),
        (in_field, vec![]),
    ] {
        let bound = Session::new(server.url(), fixed(token.clone(), &clock)).unwrap();
        let based = Session::new(format!("{url}/v1"), fixed(token, &clock)).unwrap();
        bound.get(format!("{url}/data")).send().await.unwrap();
        based.get("data").send().await.unwrap();
        let prepared = format!("{url}/data").parse().unwrap();
        bound
            .execute(Request::new(http::Method::GET, prepared))
            .await
            .unwrap();
        for received in &server.received()[server.calls() - 3..] {
            assert_eq!(authorizations(received), expected);
        }
    }
}

#[tokio::test]
async fn r9_a_request_built_elsewhere_gets_the_credential_too() {
    let server = Server::start();
    server.expect(Expect::post("/data").respond(ScriptedResponse::status(200)));
    let session = session(&server, &ManualClock::default());
    let built = session
        .post("data")
        .header("x-own", "1")
        .body("whole")
        .build()
        .unwrap();
    assert!(!built.headers().contains_key(AUTHORIZATION));
    session.execute(built).await.unwrap();
    let received = &server.received()[0];
    assert_eq!(authorizations(received), ["Bearer t0ken"]);
    assert_eq!(received.body, "whole");
}

#[tokio::test]
async fn r9_a_builder_can_be_cloned_and_sent_twice() {
    let server = Server::start();
    server.expect(
        Expect::post("/data")
            .respond(ScriptedResponse::status(200))
            .times(2),
    );
    let session = session(&server, &ManualClock::default());
    let request = session.post("data").body("whole").idempotent();
    let again = request.try_clone().unwrap();
    request.send().await.unwrap();
    again.send().await.unwrap();
    assert!(server.received().iter().all(|got| got.body == "whole"));
}

#[tokio::test]
async fn s3_the_credential_is_marked_sensitive() {
    let token = Token::new("t0ken")
        .unwrap()
        .with_header(HeaderName::from_static("x-tenant"), "s3cret")
        .unwrap();
    let tokens = fixed(token, &ManualClock::default());
    let session = Session::new("https://api.example.com", tokens).unwrap();
    let headers = session.request_headers().await.unwrap();
    assert_eq!(headers.len(), 2);
    assert!(headers.values().all(HeaderValue::is_sensitive));
    assert!(!format!("{headers:?}").contains("t0ken"));
    assert!(session.tokens().header().unwrap().is_sensitive());
}
