//! The names of the API reference behave as its tables say.

use std::io::Error as IoError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use futures_util::future::join_all;
use keyfob::authentication::{
    AuthenticationError, BearerAuthSession, ExternallyManagedJwt, ExternallyManagedJwtSession,
    GenericExternallyManagedJwtHandler, Jwt,
};
use keyfob::{Error, ErrorKind, Expiry};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};

use crate::error_texts::error_texts;
use crate::fixtures::{HOUR, bearers, numbered};

#[tokio::test]
async fn a_bearer_auth_session_sends_its_token_unchanged() {
    let server = Server::start();
    server
        .expect(Expect::get("/data").respond(ScriptedResponse::status(200)))
        .expect(Expect::post("/data").respond(ScriptedResponse::status(401)));
    let session = BearerAuthSession::new("mF_9.B5f-4.1JqM").unwrap();
    assert_eq!(session.token().expose(), "mF_9.B5f-4.1JqM");
    assert_eq!(session.token().expires(), Expiry::Unknown);
    assert!(session.authenticated());
    let url = server.url_for("/data");
    assert_eq!(session.get(&url).send().await.unwrap().status(), 200);
    // This session never renews: the 401 is the response.
    assert_eq!(session.post(&url).send().await.unwrap().status(), 401);
    assert_eq!(bearers(&server), ["mF_9.B5f-4.1JqM"; 2]);
}

#[tokio::test]
async fn a_bearer_auth_session_refuses_invalid_tokens_and_plain_http() {
    for wrong in ["", "with space", "line\r\nend", "Bearer t0ken"] {
        let error = BearerAuthSession::new(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{wrong:?}");
    }
    let session = BearerAuthSession::new("t0ken").unwrap();
    let error = session
        .get("http://api.example.com/")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    let error = session.get("relative").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
}

#[test]
fn a_jwt_has_its_text_and_expiry_and_hides_its_text() {
    let expires = SystemTime::UNIX_EPOCH + HOUR;
    let jwt = Jwt::new("s3cret").unwrap().expires_at(expires);
    assert_eq!(jwt.expose(), "s3cret");
    assert_eq!(jwt.expires(), Expiry::At(expires));
    assert!(!format!("{jwt:?}").contains("s3cret"));
}

#[tokio::test]
async fn all_handlers_of_one_externally_managed_jwt_share_it() {
    let (hook, calls) = numbered();
    let jwt = ExternallyManagedJwt::new(hook);
    let handlers = [
        jwt.handler().unwrap(),
        jwt.handler().unwrap(),
        jwt.clone().handler().unwrap(),
    ];
    let tokens = handlers.iter().map(|handler| handler.get_valid_token());
    for token in join_all(tokens).await {
        assert_eq!(token.unwrap().expose(), "token-1");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_externally_managed_jwt_starts_with_its_initial_token() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hook = keyfob::hook(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, IoError>(("next", HOUR)) }
    });
    let in_an_hour = SystemTime::now() + HOUR;
    let jwt = ExternallyManagedJwt::new(hook.clone())
        .jwt(Jwt::new("first").unwrap().expires_at(in_an_hour));
    let handler = jwt.handler().unwrap();
    assert!(handler.authenticated());
    assert_eq!(handler.get_valid_token().await.unwrap().expose(), "first");
    assert_eq!(calls.load(Ordering::SeqCst), 0);

    // A token that has already expired counts as missing.
    let expired = Jwt::new("first")
        .unwrap()
        .expires_at(SystemTime::UNIX_EPOCH);
    let handler = ExternallyManagedJwt::new(hook)
        .jwt(expired)
        .handler()
        .unwrap();
    assert!(!handler.authenticated());
    assert_eq!(handler.get_valid_token().await.unwrap().expose(), "next");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_handlers_methods_do_what_their_table_says() {
    let clock = ManualClock::default();
    let lasting = |text: &str| Ok(Jwt::new(text)?.expires_in(HOUR));
    let source = ScriptedSource::new([lasting("one"), lasting("two"), lasting("three")]);
    let handler = GenericExternallyManagedJwtHandler::builder(source.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    assert!(!handler.authenticated());
    let error: AuthenticationError = handler.request_headers().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert!(error.is_authentication());
    assert_eq!(source.calls(), 0);

    handler.authenticate().await.unwrap();
    handler.authenticate().await.unwrap();
    assert!(handler.authenticated());
    assert_eq!(
        handler.request_headers().unwrap()["authorization"],
        "Bearer one"
    );
    assert_eq!(source.calls(), 1);

    assert_eq!(handler.renew().await.unwrap().expose(), "two");
    clock.advance(HOUR);
    assert!(!handler.authenticated());
    assert_eq!(handler.get_valid_token().await.unwrap().expose(), "three");
}

#[tokio::test]
async fn an_authentication_error_has_the_hooks_own_error_as_its_cause() {
    let hook = keyfob::hook(|_| async { Err::<String, _>(IoError::other("the vault is closed")) });
    let handler = GenericExternallyManagedJwtHandler::new(hook);
    let error: AuthenticationError = handler.get_valid_token().await.unwrap_err();
    assert!(error.is_authentication());
    assert!(error_texts(&error).contains("the vault is closed"));
}

#[tokio::test]
async fn a_session_over_a_handler_keeps_its_token_fresh() {
    let server = Server::start();
    server
        .expect(
            Expect::get("/data")
                .bearer("token-1")
                .respond(ScriptedResponse::status(401)),
        )
        .expect(
            Expect::get("/data")
                .bearer("token-2")
                .respond(ScriptedResponse::status(200)),
        );
    let (hook, _) = numbered();
    let handler = ExternallyManagedJwt::new(hook).handler().unwrap();
    let session = ExternallyManagedJwtSession::new(handler.clone()).unwrap();
    assert!(!session.authenticated());
    session.authenticate().await.unwrap();
    assert!(session.authenticated() && handler.authenticated());
    let headers = session.request_headers().await.unwrap();
    assert_eq!(headers["authorization"], "Bearer token-1");
    let response = session.get(server.url_for("/data")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let token = session.authentication_handler().get_valid_token().await;
    assert_eq!(token.unwrap().expose(), "token-2");
}

#[tokio::test]
async fn r1_a_redirect_does_not_carry_the_token_of_an_unbound_session() {
    let (a, b) = (Server::start(), Server::start());
    a.expect(Expect::get("/start").respond(ScriptedResponse::redirect(302, &b.url_for("/there"))));
    b.expect(
        Expect::get("/there")
            .respond(ScriptedResponse::status(200))
            .times(2),
    );
    let session = BearerAuthSession::new("t0ken").unwrap();
    session.get(a.url_for("/start")).send().await.unwrap();
    session.get(b.url_for("/there")).send().await.unwrap();
    assert_eq!(bearers(&b), ["", "t0ken"]);
}

#[tokio::test]
async fn a_post_is_not_retried_and_a_404_is_a_response() {
    let server = Server::start();
    server
        .expect(Expect::post("/data").respond(ScriptedResponse::status(500)))
        .expect(Expect::get("/gone").respond(ScriptedResponse::status(404)));
    let session = BearerAuthSession::new("t0ken").unwrap();
    let post = session.post(server.url_for("/data")).body("x").send().await;
    assert_eq!(post.unwrap().status(), 500);
    let gone = session.get(server.url_for("/gone")).send().await;
    assert_eq!(gone.unwrap().status(), 404);
}

#[tokio::test]
async fn a_failed_request_of_a_hook_does_not_retry_the_api_request() {
    let server = Server::start();
    let source = ScriptedSource::new([Err(Error::unavailable("no connection to the issuer"))]);
    let handler = GenericExternallyManagedJwtHandler::new(source.clone());
    let session = ExternallyManagedJwtSession::new(handler).unwrap();
    let error = session
        .get(server.url_for("/data"))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_authentication());
    assert_eq!((source.calls(), server.connections()), (1, 0));
}

#[test]
fn types_of_other_crates_are_re_exported() {
    let session = BearerAuthSession::new("t0ken").unwrap();
    let request: keyfob::reqwest::Request = session
        .request(keyfob::http::Method::GET, "https://api.example.com/")
        .build()
        .unwrap();
    assert_eq!(request.method(), keyfob::http::Method::GET);
}
