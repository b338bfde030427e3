//! R2: no credential, no request.

use keyfob::{Error, ErrorKind, Session, TokenCache};
use keyfob_testkit::{ManualClock, ScriptedSource, Server};

#[tokio::test]
async fn r2_without_a_token_no_request_reaches_the_server() {
    let server = Server::start();
    let source = ScriptedSource::new([Err(Error::unavailable("down"))]);
    let session = Session::new(server.url(), source.clone()).unwrap();
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "down");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn r2_a_hook_that_panics_is_an_authentication_error_and_nothing_is_sent() {
    let server = Server::start();
    let hook = keyfob::hook(|_| async {
        if true {
            panic!("the hook panics");
        }
        Ok::<_, Error>("never")
    });
    let session = Session::new(server.url(), hook).unwrap();
    let error = session.get("data").send().await.unwrap_err();
    assert!(error.is_authentication(), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn r2_a_token_that_no_header_may_carry_is_not_sent() {
    let server = Server::start();
    let hook = keyfob::hook(|_| async { Ok::<_, Error>("s3cret\r\nx-evil: 1") });
    let session = Session::new(server.url(), hook).unwrap();
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!crate::error_texts::error_texts(&error).contains("s3cret"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn r2_an_expired_token_whose_renewal_fails_is_not_sent() {
    let server = Server::start();
    let clock = ManualClock::default();
    let source = ScriptedSource::new([
        keyfob::Token::new("old").map(|token| token.expires_in(crate::fixtures::HOUR)),
        Err(Error::refused("invalid_grant")),
    ]);
    let tokens = TokenCache::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::new(server.url(), tokens).unwrap();
    session.authenticate().await.unwrap();
    clock.advance(crate::fixtures::HOUR);
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(server.connections(), 0);
}

#[test]
fn r2_a_blocking_session_without_a_token_sends_nothing() {
    let server = Server::start();
    let source = ScriptedSource::new([Err(Error::unavailable("down"))]);
    let session = keyfob::blocking::Session::new(server.url(), source.clone()).unwrap();
    let error = session.get("data").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(server.connections(), 0);
}
