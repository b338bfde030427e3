//! Which requests have a proof, and what happens after a refusal.

use std::collections::HashSet;
use std::io::Error as IoError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyfob::middleware::AuthenticationMiddleware;
use keyfob::{ErrorKind, Session, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, ScriptedSource, Server};
use reqwest_middleware::ClientBuilder;

use crate::resource_server::{Resource, bound, builder, fixed, promptly, proofs, prover};

#[tokio::test]
async fn r2_a_bearer_token_is_refused_before_anything_is_sent() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let field = http::HeaderName::from_static("x-api-key");
    for token in [
        Token::new("t0ken").unwrap(),
        Token::new("t0ken").unwrap().scheme("Basic").unwrap(),
        bound("t0ken").header_name(field),
    ] {
        let session = Session::builder(fixed(token, &clock))
            .base_url(resource.server.url())
            .dpop(prover())
            .build()
            .unwrap();
        let error = session.get("data").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("DPoP"), "{error}");
        assert!(!format!("{error:?}").contains("t0ken"));
    }
    assert_eq!(resource.server.calls(), 0);
}

#[tokio::test]
async fn the_case_of_the_scheme_does_not_matter() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(Expect::get("/data").respond(ScriptedResponse::status(200)));
    let token = Token::new("t0ken").unwrap().scheme("dpop").unwrap();
    let session = Session::builder(fixed(token, &clock))
        .base_url(server.url())
        .dpop(prover())
        .build()
        .unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn r3_a_rejected_token_is_renewed_and_the_replay_has_its_own_proof() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.revoke("token-1").change_nonce();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hook = keyfob::hook(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, IoError>(bound(&format!("token-{number}"))) }
    });
    let tokens = TokenCache::builder(hook).clock(clock.clone()).build();
    let session = Session::builder(tokens.unwrap())
        .base_url(resource.server.url())
        .dpop(prover())
        .build()
        .unwrap();
    let response = session.post("orders").body("x").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(resource.statuses(), [401, 401, 200]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn r1_each_redirect_within_the_origin_has_its_own_proof() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let session = builder(&resource.server, &clock).build().unwrap();
    let request = session.post("redirect?/see-other?/deep/data?x=1");
    assert_eq!(request.body("x").send().await.unwrap().status(), 200);
    let proofs = resource.proofs();
    let of = |name: &str| -> Vec<String> {
        let claims = proofs.iter().map(|proof| proof.claim(name).to_owned());
        claims.collect()
    };
    assert_eq!(of("htm"), ["POST", "POST", "GET"]);
    let urls = ["/redirect", "/see-other", "/deep/data"].map(|path| resource.server.url_for(path));
    assert_eq!(of("htu"), urls);
}

#[tokio::test]
async fn r1_a_redirect_to_another_origin_carries_neither_token_nor_proof() {
    let clock = ManualClock::default();
    let (resource, other) = (Resource::start(&clock), Server::start());
    let back = resource.server.url_for("/back");
    other.expect(Expect::get("/elsewhere").respond(ScriptedResponse::redirect(302, &back)));
    // Even if the caller set a proof, and if the other origin is bound to the session too.
    let session = builder(&resource.server, &clock)
        .origin(other.url())
        .build()
        .unwrap();
    let start = format!("redirect?{}", other.url_for("/elsewhere"));
    let request = session.get(start).header("dpop", "of-the-caller");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    let received = other.received();
    assert_eq!(received[0].header("dpop"), None);
    assert_eq!(received[0].header("authorization"), None);
    // Removed headers are not restored.
    assert_eq!(resource.faults(), ["0 proofs"]);
}

#[tokio::test]
async fn r9_the_proof_replaces_the_callers_own() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    let session = builder(&resource.server, &clock).build().unwrap();
    let request = session.get("data").header("dpop", "of-the-caller");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(resource.statuses(), [200]);
}

#[tokio::test]
async fn r7_each_retry_has_its_own_proof() {
    let clock = ManualClock::default();
    let server = Server::start();
    server.expect(
        Expect::get("/data")
            .respond(ScriptedResponse::reset())
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::status(200)),
    );
    let session = builder(&server, &clock).build().unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
    let proofs = proofs(&server);
    let identifiers: HashSet<_> = proofs.iter().map(|proof| proof.claim("jti")).collect();
    assert_eq!(identifiers.len(), 3);
}

#[tokio::test]
async fn r6_a_renewal_that_returns_a_bearer_token_returns_the_401() {
    let server = Server::start();
    let refused = ScriptedResponse::unauthorized("DPoP error=\"invalid_token\"").body("why");
    server.expect(Expect::get("/data").always(refused));
    let source = || ScriptedSource::new([Ok(bound("one")), Token::new("two")]);
    let session = Session::builder(source())
        .base_url(server.url())
        .dpop(prover())
        .build()
        .unwrap();
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.text().await.unwrap(), "why");
    // The token in the cache now cannot be used for the next request.
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);

    let (client, authentication) = AuthenticationMiddleware::builder(source())
        .origin(server.url())
        .dpop(prover())
        .build(reqwest::Client::builder())
        .unwrap();
    let client = ClientBuilder::new(client).with(authentication).build();
    let sent = client.get(server.url_for("/data")).send().await;
    assert_eq!(sent.unwrap().status(), 401);
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn r6_a_bearer_token_fetched_during_a_pause_returns_the_last_response() {
    const LIFETIME: Duration = Duration::from_secs(10);
    let clock = ManualClock::default();
    let server = Server::start();
    let passing = clock.clone();
    server.expect(Expect::get("/data").respond_with(move |_| {
        passing.advance(LIFETIME);
        ScriptedResponse::unavailable()
    }));
    let source = ScriptedSource::new([Ok(bound("one").expires_in(LIFETIME)), Token::new("two")]);
    let tokens = TokenCache::builder(source).clock(clock).build().unwrap();
    let session = Session::builder(tokens)
        .retry(promptly())
        .base_url(server.url())
        .dpop(prover())
        .build()
        .unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 503);
    assert_eq!(server.calls(), 1);
}
