//! A token endpoint responds as RFC 6749 requires, and as scripted.

use std::time::Duration;

use keyfob_testkit::{Gate, RefreshTokens, ScriptedResponse, TokenEndpoint, TokenResponse, json};
use serde_json::Value;

use crate::client::{Seen, get, post};

fn ask(endpoint: &TokenEndpoint, form: &str) -> Seen {
    post(endpoint.server().address(), "/token", form)
}

fn ask_for_token(endpoint: &TokenEndpoint) -> Value {
    let seen = ask(endpoint, "grant_type=client_credentials");
    assert_eq!(seen.status(), 200);
    serde_json::from_slice(seen.body()).unwrap()
}

fn error(seen: &Seen) -> String {
    assert_eq!(seen.status(), 400);
    let body: Value = serde_json::from_slice(seen.body()).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_are_numbered_and_have_a_lifetime() {
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(Duration::from_secs(60));
    let first = json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 60});
    assert_eq!(ask_for_token(&endpoint), first);
    assert_eq!(ask_for_token(&endpoint)["access_token"], "token-2");
    assert!(endpoint.issuer().is_valid("token-1"));
    assert_eq!(endpoint.calls(), 2);
    assert!(endpoint.url().ends_with("/token"));
}

#[test]
fn token_responses_must_not_be_stored() {
    let endpoint = TokenEndpoint::start();
    let seen = ask(&endpoint, "grant_type=client_credentials");
    assert_eq!(seen.header("cache-control").as_deref(), Some("no-store"));
}

#[test]
fn a_token_without_a_lifetime_has_no_expires_in() {
    let endpoint = TokenEndpoint::start();
    endpoint.issuer().set_lifetime(None);
    assert_eq!(ask_for_token(&endpoint).get("expires_in"), None);
}

#[test]
fn responses_follow_the_script() {
    let endpoint = TokenEndpoint::start();
    endpoint
        .next(TokenResponse::other(ScriptedResponse::unavailable()))
        .next(TokenResponse::error("invalid_grant"))
        .next(TokenResponse::error("invalid_client"))
        .next(TokenResponse::garbage())
        .next(TokenResponse::other(ScriptedResponse::reset()));
    let form = "grant_type=client_credentials";
    assert_eq!(ask(&endpoint, form).status(), 503);
    assert_eq!(error(&ask(&endpoint, form)), "invalid_grant");
    let refused = ask(&endpoint, form);
    assert_eq!(refused.status(), 401);
    assert!(refused.header("www-authenticate").is_some());
    let garbage = ask(&endpoint, form);
    assert!(serde_json::from_slice::<Value>(garbage.body()).is_err());
    assert!(ask(&endpoint, form).was_reset());
    assert_eq!(endpoint.issuer().issued(), 0);
    assert_eq!(ask_for_token(&endpoint)["access_token"], "token-1");
}

#[test]
fn the_same_token_is_sent_again_while_it_is_valid() {
    let endpoint = TokenEndpoint::start();
    endpoint.always(TokenResponse::same_token());
    assert_eq!(ask_for_token(&endpoint)["access_token"], "token-1");
    assert_eq!(ask_for_token(&endpoint)["access_token"], "token-1");
    endpoint.issuer().revoke_current();
    assert_eq!(ask_for_token(&endpoint)["access_token"], "token-2");
}

#[test]
fn fields_can_be_changed_and_removed() {
    let endpoint = TokenEndpoint::start();
    endpoint.next(
        TokenResponse::token()
            .field("expires_in", json!(-5))
            .field("token_type", json!(null))
            .field("scope", json!("read")),
    );
    let response = json!({"access_token": "token-1", "expires_in": -5, "scope": "read"});
    assert_eq!(ask_for_token(&endpoint), response);
    assert!(endpoint.issuer().is_valid("token-1"));
}

#[test]
fn a_gate_holds_an_issued_token() {
    let endpoint = TokenEndpoint::start();
    let gate = Gate::new();
    endpoint.next(TokenResponse::token().when(&gate));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| ask_for_token(&endpoint));
        endpoint.server().wait_for_calls(1, Duration::from_secs(10));
        assert!(!client.is_finished());
        gate.open();
        assert_eq!(client.join().unwrap()["access_token"], "token-1");
    });
}

#[test]
fn an_invalid_token_request_is_refused() {
    let endpoint = TokenEndpoint::start();
    assert_eq!(error(&ask(&endpoint, "scope=read")), "invalid_request");
    let address = endpoint.server().address();
    assert_eq!(get(address, "/token").status(), 405);
    assert_eq!(get(address, "/other").status(), 404);
    assert_eq!(endpoint.issuer().issued(), 0);
}

#[test]
fn a_fixed_refresh_token_is_the_only_one_accepted() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Fixed);
    assert_eq!(ask_for_token(&endpoint)["refresh_token"], "refresh-1");
    let refresh = |token| {
        ask(
            &endpoint,
            &format!("grant_type=refresh_token&refresh_token={token}"),
        )
    };
    assert_eq!(refresh("refresh-1").status(), 200);
    assert_eq!(refresh("refresh-1").status(), 200);
    assert_eq!(error(&refresh("refresh-2")), "invalid_grant");
}

#[test]
fn a_rotating_refresh_token_works_once() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let refresh = |token| {
        ask(
            &endpoint,
            &format!("grant_type=refresh_token&refresh_token={token}"),
        )
    };
    let renewed: Value = serde_json::from_slice(refresh("refresh-1").body()).unwrap();
    assert_eq!(renewed["refresh_token"], "refresh-2");
    assert_eq!(error(&refresh("refresh-1")), "invalid_grant");
    assert_eq!(refresh("refresh-2").status(), 200);
}

#[test]
fn a_lost_response_has_used_up_the_refresh_token() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    endpoint.next(TokenResponse::lost());
    let form = "grant_type=refresh_token&refresh_token=refresh-1";
    assert!(ask(&endpoint, form).was_reset());
    assert_eq!(endpoint.issuer().issued(), 1);
    assert_eq!(endpoint.refresh_token().as_deref(), Some("refresh-2"));
    assert_eq!(error(&ask(&endpoint, form)), "invalid_grant");
}

#[test]
fn a_lost_response_may_be_cut_or_replaced_and_is_whole_when_repeated() {
    let endpoint = TokenEndpoint::start();
    let grace = Duration::from_secs(3600);
    endpoint.set_refresh_tokens(RefreshTokens::DetectsReuse { grace });
    let gateway = ScriptedResponse::status(502);
    endpoint.next(TokenResponse::token().lost_behind(gateway));
    endpoint.next(TokenResponse::token().cut_after(20));
    endpoint.next(TokenResponse::token().cut_after(20).unless_repeated());
    endpoint.next(TokenResponse::token().cut_after(100_000));
    let refresh = |token: u32| {
        let form = format!("grant_type=refresh_token&refresh_token=refresh-{token}");
        ask(&endpoint, &form)
    };
    assert_eq!(refresh(1).status(), 502);
    assert_eq!(refresh(1).text(), "HTTP/1.1 200 OK\r\ncon");
    let whole: Value = serde_json::from_slice(refresh(1).body()).unwrap();
    assert_eq!(whole["refresh_token"], "refresh-2");
    let cut = refresh(2);
    let announced: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert_eq!(cut.body().len(), announced - 1);
    assert_eq!((endpoint.losses(), endpoint.repeats()), (3, 2));
}

#[test]
fn a_used_refresh_token_is_accepted_again_within_its_grace() {
    let endpoint = TokenEndpoint::start();
    let grace = Duration::from_secs(3600);
    endpoint.set_refresh_tokens(RefreshTokens::DetectsReuse { grace });
    for _ in 0..2 {
        let seen = ask(
            &endpoint,
            "grant_type=refresh_token&refresh_token=refresh-1",
        );
        let body: Value = serde_json::from_slice(seen.body()).unwrap();
        assert_eq!(body["refresh_token"], "refresh-2");
    }
    assert_eq!(
        (endpoint.repeats(), endpoint.reuses(), endpoint.rotations()),
        (1, 0, 1)
    );
}

#[test]
fn reuse_of_a_refresh_token_ends_all_of_them() {
    let endpoint = TokenEndpoint::start();
    let grace = Duration::ZERO;
    endpoint.set_refresh_tokens(RefreshTokens::DetectsReuse { grace });
    let refresh = |number| {
        let form = format!("grant_type=refresh_token&refresh_token=refresh-{number}");
        ask(&endpoint, &form)
    };
    assert_eq!(refresh(1).status(), 200);
    assert_eq!(error(&refresh(1)), "invalid_grant");
    assert_eq!(endpoint.reuses(), 1);
    assert_eq!(error(&refresh(2)), "invalid_grant");
}
