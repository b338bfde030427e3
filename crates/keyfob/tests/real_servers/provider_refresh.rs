//! Rotating refresh tokens at the certified provider, which treats the use of an old one as theft.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use keyfob::oauth::{ClientAuthentication, RefreshToken};
use keyfob::source::Persisted;
use keyfob::store::MemoryStore;
use keyfob::{ErrorKind, Session, TokenCache};
use keyfob_testkit::{ManualClock, json};

use crate::provider_server::{Provider, desktop};

const SCOPE: &str = "openid offline_access";

async fn signed_in(provider: &Provider) -> RefreshToken {
    let response = provider.sign_in("desktop", SCOPE).await;
    let client = provider.client("desktop", ClientAuthentication::none());
    RefreshToken::new(client, response["refresh_token"].as_str().unwrap()).unwrap()
}

fn provider() -> Provider {
    Provider::start(json!({"clients": [desktop("desktop")]}))
}

#[tokio::test]
async fn a_rotating_refresh_token_is_followed() {
    let provider = provider();
    let tokens = TokenCache::new(signed_in(&provider).await);
    let mut seen = Vec::new();
    for _ in 0..5 {
        tokens.renew().await.unwrap();
        let token = tokens.get_valid_token().await.unwrap();
        seen.push(token.refresh_token().unwrap().to_owned());
    }
    seen.dedup();
    assert_eq!(seen.len(), 5, "each was another one");
}

#[tokio::test]
async fn t2_a_refresh_token_used_by_another_client_is_refused_permanently() {
    let provider = provider();
    let saved = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&saved);
    let tokens = TokenCache::builder(signed_in(&provider).await)
        .on_change(move |change| {
            let refresh = change.current().refresh_token().unwrap().to_owned();
            keep.lock().unwrap().push(refresh);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    tokens.renew().await.unwrap();
    tokens.renew().await.unwrap();
    // A thief uses a replaced refresh token: the server revokes all tokens of this sign-in.
    let stolen = saved.lock().unwrap()[0].clone();
    let client = provider.client("desktop", ClientAuthentication::none());
    let thief = TokenCache::new(RefreshToken::new(client, stolen).unwrap());
    assert_eq!(thief.renew().await.unwrap_err().kind(), ErrorKind::Refused);
    let error = tokens.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");
}

#[tokio::test]
async fn revocation_ends_the_refresh_token_too() {
    let provider = provider();
    let source = signed_in(&provider).await;
    let client = provider.client("desktop", ClientAuthentication::none());
    let tokens = TokenCache::new(source);
    let token = tokens.get_valid_token().await.unwrap();
    client.revoke(&token).await.unwrap();
    assert_eq!(tokens.renew().await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn t9_two_processes_and_a_restart_use_no_refresh_token_twice() {
    let provider = provider();
    let response = provider.sign_in("desktop", SCOPE).await;
    let first = response["refresh_token"].as_str().unwrap();
    let store = MemoryStore::default();
    let process = || {
        let client = provider.client("desktop", ClientAuthentication::none());
        // Each process knows the first refresh token, and finds newer ones only in the store.
        let source = RefreshToken::new(client, first).unwrap();
        let key = source.store_key().subject("anna").build();
        TokenCache::new(Persisted::new(source, store.clone(), key))
    };
    let (one, other, restarted) = (process(), process(), process());
    let mut seen: Vec<String> = Vec::new();
    for (tokens, exchanged) in [
        (&one, true),
        (&other, false),
        (&other, true),
        (&one, false),
        (&restarted, false),
        (&restarted, true),
        (&one, false),
        (&one, true),
    ] {
        // The first token of a process is any valid one. After that, it is any other than the current one.
        match tokens.ready() {
            None => tokens.authenticate().await.unwrap(),
            Some(_) => drop(tokens.renew().await.unwrap()),
        }
        let token = tokens.get_valid_token().await.unwrap();
        let refresh = token.refresh_token().unwrap();
        let is_new = !seen.iter().any(|seen| seen == refresh);
        assert_eq!(
            is_new, exchanged,
            "what another has got is taken from the store"
        );
        seen.push(refresh.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_a_hundred_requests_over_ten_lifetimes_cause_one_exchange_each() {
    let provider = provider();
    let exchanges = Arc::new(Mutex::new(0));
    let count = Arc::clone(&exchanges);
    let clock = ManualClock::default();
    let tokens = TokenCache::builder(signed_in(&provider).await)
        .clock(clock.clone())
        .on_change(move |_| {
            *count.lock().unwrap() += 1;
            async { Ok(()) }
        })
        .build()
        .unwrap();
    // The provider's own API accepts its tokens.
    let session = Session::new(provider.issuer(), tokens).unwrap();
    for lifetime in 1..=10 {
        let requests = (0..100).map(|_| session.get("/me").send());
        for response in join_all(requests).await {
            assert_eq!(response.unwrap().status(), 200);
        }
        assert_eq!(*exchanges.lock().unwrap(), lifetime);
        clock.advance(std::time::Duration::from_secs(61));
    }
}
