//! Tokens that are renewed where they are, against the fake of Vault.

#![expect(
    clippy::disallowed_methods,
    reason = "renewals in the background end in real time"
)]

use std::thread::sleep;
use std::time::Duration;

use keyfob::exchange::Challenges;
use keyfob::http::Method;
use keyfob::oauth::{ExpiryForm, RequestText};
use keyfob::{ErrorKind, HttpToken, TokenCache};
use keyfob_testkit::platforms::{Fake, Vault};
use keyfob_testkit::{ManualClock, ScriptedResponse};

const LEASE: Duration = Duration::from_secs(600);

fn start(clock: &ManualClock) -> (Fake<Vault>, TokenCache) {
    let vault = Vault::start_on(clock);
    vault.set_lifetimes(LEASE, Duration::from_secs(1500));
    let renewal = HttpToken::builder(vault.url_for(Vault::RENEW_PATH))
        .method(Method::POST)
        .header("x-vault-token", RequestText::previous_token());
    let source = HttpToken::builder(vault.url_for(Vault::APPROLE_PATH))
        .json("/role_id", Vault::ROLE_ID)
        .json("/secret_id", Vault::SECRET_ID)
        .token("/auth/client_token")
        .expiry("/auth/lease_duration", ExpiryForm::SecondsOrNever)
        .renewal(renewal)
        .renewable("/auth/renewable")
        .build()
        .unwrap();
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    tokens.get_valid_token_blocking().unwrap();
    (vault, tokens)
}

/// Lets most of the lease pass, and waits until the cache has renewed the token.
fn renew(clock: &ManualClock, tokens: &TokenCache) -> String {
    let before = tokens.status().renewals;
    clock.advance(LEASE * 4 / 5);
    for _ in 0..2000 {
        tokens.get_valid_token_blocking().unwrap();
        if tokens.status().renewals > before {
            return tokens
                .get_valid_token_blocking()
                .unwrap()
                .expose()
                .to_owned();
        }
        sleep(Duration::from_millis(5));
    }
    panic!("the token was not renewed within 10 s");
}

#[test]
fn a_lease_is_renewed_until_its_maximum_comes_near() {
    let clock = ManualClock::default();
    let (vault, tokens) = start(&clock);
    assert_eq!(renew(&clock, &tokens), "hvs.fake-1");
    assert_eq!(renew(&clock, &tokens), "hvs.fake-1");
    // The renewal at 1440 s would end at 1500 s.
    assert_eq!(renew(&clock, &tokens), "hvs.fake-2");
    assert_eq!(renew(&clock, &tokens), "hvs.fake-2");
    assert_eq!(
        (vault.logins(), vault.accepted_at(Vault::RENEW_PATH)),
        (2, 4)
    );
    assert_eq!(vault.refusals(), Vec::<String>::new());
}

#[test]
fn a_token_that_cannot_be_renewed_is_replaced_without_an_attempt() {
    let clock = ManualClock::default();
    let (vault, tokens) = start(&clock);
    vault.issue_batch_tokens();
    // The token of the first login says that it can be renewed, and it cannot.
    assert_eq!(renew(&clock, &tokens), "hvs.fake-2");
    assert_eq!(vault.refusals(), ["lease is not renewable"]);
    assert_eq!(renew(&clock, &tokens), "hvs.fake-3");
    assert_eq!(vault.refusals().len(), 1);
}

#[test]
fn a_token_whose_renewal_fails_with_a_500_is_replaced() {
    let clock = ManualClock::default();
    let (vault, tokens) = start(&clock);
    vault.next([ScriptedResponse::status(500)]);
    assert_eq!(renew(&clock, &tokens), "hvs.fake-2");
}

#[test]
fn a_rejected_token_is_not_renewed_but_replaced() {
    let clock = ManualClock::default();
    let (vault, tokens) = start(&clock);
    let lease = tokens.lease_blocking(None).unwrap();
    let newer = tokens.replace_blocking(&lease, &Challenges::default(), None);
    assert_eq!(newer.unwrap().token().expose(), "hvs.fake-2");
    assert_eq!(vault.accepted_at(Vault::RENEW_PATH), 0);
}

#[test]
fn t3_a_server_that_is_down_costs_one_call_and_the_token_is_used() {
    let clock = ManualClock::default();
    let (vault, tokens) = start(&clock);
    vault.go_down();
    clock.advance(LEASE * 4 / 5);
    for _ in 0..20 {
        let token = tokens.get_valid_token_blocking().unwrap();
        assert_eq!(token.expose(), "hvs.fake-1");
        sleep(Duration::from_millis(5));
    }
    assert_eq!(vault.refusals(), ["down"]);
    clock.advance(LEASE);
    let error = tokens.get_valid_token_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
