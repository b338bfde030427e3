//! Refresh tokens, which may be replaced at each use.

use std::sync::{Arc, Mutex};

use keyfob::oauth::RefreshToken;
use keyfob::{ErrorKind, TokenCache, TokenSource};
use keyfob_testkit::{Gate, ManualClock, RefreshTokens, TokenEndpoint, TokenResponse, json};

use crate::fixtures::{SECOND, client, token_of};

fn used(endpoint: &TokenEndpoint) -> Vec<String> {
    let received = endpoint.server().received();
    received
        .iter()
        .map(|received| received.form_value("refresh_token").unwrap())
        .collect()
}

#[tokio::test]
async fn each_exchange_uses_the_refresh_token_of_the_previous_one() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    assert!(source.consumes_refresh_token());
    let tokens = TokenCache::new(source);
    for _ in 0..4 {
        tokens.authenticate().await.unwrap();
        tokens.renew().await.unwrap();
    }
    assert_eq!(
        used(&endpoint),
        [
            "refresh-1",
            "refresh-2",
            "refresh-3",
            "refresh-4",
            "refresh-5"
        ]
    );
}

#[tokio::test]
async fn a_response_without_a_refresh_token_keeps_the_old_one() {
    let endpoint = TokenEndpoint::start();
    let source = RefreshToken::new(client(&endpoint), "kept").unwrap();
    let tokens = TokenCache::new(source);
    let token = tokens.get_valid_token().await.unwrap();
    assert_eq!(token.refresh_token(), Some("kept"));
    tokens.renew().await.unwrap();
    assert_eq!(used(&endpoint), ["kept", "kept"]);
}

#[tokio::test]
async fn the_new_refresh_token_is_saved_before_the_token_is_used() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let saved = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&saved);
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    let tokens = TokenCache::builder(source)
        .on_change(move |change| {
            let refresh = change.current().refresh_token().unwrap().to_owned();
            keep.lock().unwrap().push(refresh);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    tokens.authenticate().await.unwrap();
    assert_eq!(*saved.lock().unwrap(), ["refresh-2"]);
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_saved_stays_in_use_in_memory() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    let tokens = TokenCache::builder(source)
        .on_change(|change| {
            let first = change.current().expose() == "token-2";
            async move {
                if first {
                    Err("the disk is full".into())
                } else {
                    Ok(())
                }
            }
        })
        .build()
        .unwrap();
    tokens.authenticate().await.unwrap();
    assert!(tokens.renew().await.is_err(), "the disk was full");
    tokens.renew().await.unwrap();
    assert_eq!(used(&endpoint), ["refresh-1", "refresh-2", "refresh-3"]);
}

#[tokio::test]
async fn t7_an_exchange_that_outlasts_its_fetch_is_completed() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let gate = Gate::new();
    endpoint.next(TokenResponse::token().when(&gate));
    let clock = ManualClock::default();
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    let waiting = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.renew().await.map(drop) }
    });
    endpoint.server().until_calls(1).await;
    clock.advance(31 * SECOND);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no token within"), "{error}");
    gate.open();
    tokens.renew().await.unwrap();
    assert_eq!(used(&endpoint), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn caches_that_share_a_source_never_use_a_replaced_refresh_token() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    let (one, other) = (TokenCache::new(source.clone()), TokenCache::new(source));
    for _ in 0..3 {
        let (a, b) = tokio::join!(one.renew(), other.renew());
        a.unwrap();
        b.unwrap();
    }
    let expected: Vec<_> = (1..=6).map(|number| format!("refresh-{number}")).collect();
    assert_eq!(used(&endpoint), expected);
}

#[tokio::test]
async fn t2_a_refused_refresh_token_is_sent_once() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let tokens = TokenCache::new(RefreshToken::new(client(&endpoint), "stolen").unwrap());
    for _ in 0..3 {
        let error = tokens.authenticate().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("`invalid_grant`"), "{error}");
    }
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn an_exchange_with_an_unknown_outcome_is_not_repeated_within_a_fetch() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    endpoint.next(TokenResponse::lost());
    let error = token_of(RefreshToken::new(client(&endpoint), "refresh-1").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("may have seen"), "{error}");
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_a_hundred_requests_over_ten_lifetimes_cause_one_exchange_each() {
    let endpoint = TokenEndpoint::start();
    endpoint.set_refresh_tokens(RefreshTokens::Rotating);
    let clock = ManualClock::default();
    endpoint.always(TokenResponse::token().field("expires_in", json!(100)));
    let api = keyfob_testkit::Api::start(endpoint.issuer().clone());
    let source = RefreshToken::new(client(&endpoint), "refresh-1").unwrap();
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = keyfob::Session::new(api.url(), tokens).unwrap();
    for lifetime in 1..=10 {
        let requests = (0..100).map(|_| session.get("data").send());
        for response in futures_util::future::join_all(requests).await {
            assert_eq!(response.unwrap().status(), 200);
        }
        assert_eq!(endpoint.calls(), lifetime);
        clock.advance(101 * SECOND);
    }
    assert_eq!(api.count(200), 1000);
    assert_eq!(api.requests(), 1000, "none was rejected");
}
