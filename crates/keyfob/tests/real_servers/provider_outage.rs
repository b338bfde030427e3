//! An outage of the certified provider.

use std::time::Duration;

use keyfob::oauth::{ClientAuthentication, ClientCredentials};
use keyfob::source::Persisted;
use keyfob::store::MemoryStore;
use keyfob::{ErrorKind, RetryPolicy, Session, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, json};

use crate::provider_server::{Provider, with_secret};

#[tokio::test]
async fn t3_requests_work_until_the_token_expires_and_again_after_the_outage() {
    let clients = [with_secret("robot", "s3cr3t", "client_secret_basic")];
    let mut provider = Provider::start(json!({"clients": clients, "lifetime": 1000}));
    let api = Server::start();
    api.expect(Expect::get("/data").always(ScriptedResponse::status(200)));
    let clock = ManualClock::default();
    let who = ClientAuthentication::secret_basic("s3cr3t");
    let source = ClientCredentials::new(provider.client("robot", who));
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = Session::builder(tokens.clone())
        .base_url(api.url())
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let get = || async {
        session
            .get("data")
            .send()
            .await
            .map(|response| response.status().as_u16())
    };
    assert_eq!(get().await.unwrap(), 200);
    provider.kill();

    // Due, and then in its leeway: renewals fail, and the token stays in use.
    for passed in [800, 150, 40] {
        clock.advance(Duration::from_secs(passed));
        let failures = tokens.status().failures;
        for _ in 0..20 {
            assert_eq!(get().await.unwrap(), 200);
        }
        until(|| tokens.status().failures > failures).await;
    }

    // Expired.
    clock.advance(Duration::from_secs(20));
    let error = get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let failed = api.calls();

    provider.start_again();
    // The cool-down has to end first. No caller has to act.
    clock.advance(Duration::from_secs(600));
    assert_eq!(get().await.unwrap(), 200);
    assert_eq!(api.calls(), failed + 1);
    assert_eq!(api.calls(), 1 + 3 * 20 + 1);
}

#[tokio::test]
async fn t3_a_process_started_in_an_outage_uses_the_stored_token_until_it_expires() {
    let clients = [with_secret("robot", "s3cr3t", "client_secret_basic")];
    let mut provider = Provider::start(json!({"clients": clients, "lifetime": 1000}));
    let clock = ManualClock::default();
    let store = MemoryStore::default();
    let process = || {
        let who = ClientAuthentication::secret_basic("s3cr3t");
        let source = ClientCredentials::new(provider.client("robot", who));
        let key = source.store_key().build();
        let tokens = TokenCache::builder(Persisted::new(source, store.clone(), key));
        tokens.clock(clock.clone()).build().unwrap()
    };
    let first = process().get_valid_token().await.unwrap();
    let later: Vec<_> = (0..4).map(|_| process()).collect();
    provider.kill();
    let mut later = later.into_iter();
    // Fresh, in its leeway, and one second before its expiry.
    for passed in [500, 485, 14] {
        clock.advance(Duration::from_secs(passed));
        let token = later.next().unwrap().get_valid_token().await.unwrap();
        assert_eq!(token.expose(), first.expose());
    }
    clock.advance(Duration::from_secs(2));
    let error = later.next().unwrap().get_valid_token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Waits for a renewal in the background.
async fn until(happened: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not happen within a minute");
}
