//! T9: sign-ins whose token response breaks off, and what the person is told.

use std::time::Duration;

use futures_util::future::{Either, select};
use keyfob::oauth::{AuthorizationCode, Client, DeviceCode};
use keyfob::{Error, ErrorKind, Token};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, json};

use crate::broken_exchanges::lost_responses;
use crate::error_texts::error_texts;
use crate::sign_in::{SignIn, TOKEN, token, visit};

const DEVICE: &str = "/device_authorization";

fn refusal() -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": "invalid_grant"})).with_status(400)
}

async fn browser_sign_in(server: &Server) -> Result<Token, Error> {
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint("https://login.example.com/authorize")
        .timeout(Duration::from_millis(700))
        .build()
        .unwrap();
    let sign_in = SignIn::begin(AuthorizationCode::new(client)).await;
    visit(sign_in.back("code=c0de")).await;
    sign_in.outcome().await
}

#[tokio::test]
async fn t9_a_code_whose_response_was_lost_is_sent_once_and_the_advice_works() {
    for (place, response) in lost_responses() {
        let server = Server::start();
        server.expect(Expect::post(TOKEN).respond(response).respond(token()));
        let error = browser_sign_in(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{place}");
        assert!(
            error.to_string().contains("start the sign-in again"),
            "{place}: {error}"
        );
        assert_eq!(server.calls(), 1, "{place}");

        let token = browser_sign_in(&server).await.unwrap();
        assert_eq!(token.refresh_token(), Some("r3fresh"), "{place}");
    }
}

/// A device sign-in with these token responses.
async fn device_sign_in(server: &Server) -> Result<Token, Error> {
    let codes = json!({
        "device_code": "d3v1ce",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://login.example.com/device",
        "verification_url": "https://login.example.com/older-name",
        "expires_in": 600,
    });
    server.expect(Expect::post(DEVICE).respond(ScriptedResponse::json(codes)));
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .device_authorization_endpoint(server.url_for(DEVICE))
        .timeout(Duration::from_millis(700))
        .clock(clock.clone())
        .build()
        .unwrap();
    let authorization = DeviceCode::new(client).start().await?;
    assert_eq!(
        authorization.verification_uri(),
        "https://login.example.com/device"
    );
    let mut waiting = Box::pin(authorization.wait());
    loop {
        match select(waiting, Box::pin(clock.until_sleeping(1))).await {
            Either::Left((outcome, _)) => return outcome,
            Either::Right(((), still)) => waiting = still,
        }
        clock.advance(clock.next_wake_in().unwrap());
    }
}

#[tokio::test]
async fn t9_a_lost_response_to_a_poll_is_reported_if_the_code_is_used_up() {
    for (place, response) in lost_responses() {
        let server = Server::start();
        server.expect(
            Expect::post(TOKEN)
                .respond(response.clone())
                .respond(refusal())
                .respond(response)
                .respond(token()),
        );
        let error = device_sign_in(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{place}");
        let texts = error_texts(&error);
        assert!(
            texts.contains("start the sign-in again"),
            "{place}: {texts}"
        );
        assert!(texts.contains("`invalid_grant`"), "{place}: {texts}");

        // A server that did not issue the token in the lost response issues it now.
        let token = device_sign_in(&server).await.unwrap();
        assert_eq!(token.refresh_token(), Some("r3fresh"), "{place}");
        server.verify();
    }
}

#[tokio::test]
async fn t9_a_lost_response_to_a_poll_is_reported_after_other_failures_too() {
    for (place, response) in lost_responses() {
        let server = Server::start();
        server.expect(
            Expect::post(TOKEN)
                .respond(response)
                .respond(ScriptedResponse::unavailable())
                .respond(refusal()),
        );
        let error = device_sign_in(&server).await.unwrap_err();
        assert!(error.to_string().contains("was lost"), "{place}: {error}");
        server.verify();
    }
}

#[tokio::test]
async fn t9_a_lost_response_before_a_pending_one_did_not_hold_the_token() {
    for pending in ["authorization_pending", "slow_down"] {
        let pending = ScriptedResponse::json(json!({"error": pending})).with_status(400);
        let server = Server::start();
        server.expect(
            Expect::post(TOKEN)
                .respond(ScriptedResponse::close())
                .respond(pending)
                .respond(refusal()),
        );
        let error = device_sign_in(&server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(!error.to_string().contains("was lost"), "{error}");
        server.verify();
    }
}

#[tokio::test]
async fn a_page_of_a_gateway_does_not_end_a_device_sign_in() {
    let server = Server::start();
    server.expect(
        Expect::post(TOKEN)
            .respond(ScriptedResponse::text("<html>maintenance</html>"))
            .respond(ScriptedResponse::text("error=authorization_pending").with_status(400))
            .respond(
                ScriptedResponse::bytes(&b"\xef\xbb\xbf{\"error\":\"slow_down\"}"[..])
                    .with_status(400),
            )
            .respond(token()),
    );
    device_sign_in(&server).await.unwrap();
    server.verify();
}
