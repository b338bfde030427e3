//! Nonces: recorded from any response, and retried once.

use http::Method;
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};

use crate::received_proof::Proof;
use crate::resource_server::{Resource, Rotation, builder, proofs};

fn nonces(resource: &Resource) -> Vec<String> {
    let proofs = resource.proofs();
    let nonce = |proof: &Proof| proof.claim("nonce").to_owned();
    proofs.iter().map(nonce).collect()
}

#[tokio::test]
async fn r3_a_requested_nonce_is_used_once_more_and_kept() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.change_nonce();
    let session = builder(&resource.server, &clock).build().unwrap();
    for _ in 0..2 {
        let response = session.post("orders").body("an order").send().await;
        assert_eq!(response.unwrap().text().await.unwrap(), "fine");
    }
    assert_eq!(resource.statuses(), [401, 200, 200]);
    assert_eq!(nonces(&resource), ["", "nonce-1", "nonce-1"]);
    let received = resource.server.received();
    assert!(received.iter().all(|request| request.body == "an order"));
}

#[tokio::test]
async fn r3_a_nonce_from_a_good_response_is_used_at_once() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.rotate(Rotation::OnSuccess);
    let session = builder(&resource.server, &clock).build().unwrap();
    for _ in 0..4 {
        session.get("data").send().await.unwrap();
    }
    assert_eq!(resource.statuses(), [200; 4]);
    assert_eq!(nonces(&resource), ["", "nonce-1", "nonce-2", "nonce-3"]);
}

#[tokio::test]
async fn r3_a_server_that_refuses_every_nonce_gets_two_requests_and_its_401_is_returned() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.change_nonce().rotate(Rotation::OnRefusal);
    let session = builder(&resource.server, &clock).build().unwrap();
    let generation = session.tokens().ready().unwrap().generation();
    let response = session.get("data").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["dpop-nonce"], "nonce-2");
    assert_eq!(resource.statuses(), [401, 401]);
    assert_eq!(nonces(&resource), ["", "nonce-1"]);
    // The token was not renewed.
    assert_eq!(session.tokens().ready().unwrap().generation(), generation);
}

#[tokio::test]
async fn r4_a_streamed_body_is_not_sent_again_but_the_nonce_is_recorded() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.change_nonce();
    let session = builder(&resource.server, &clock).build().unwrap();
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("a piece")]);
    let body = reqwest::Body::wrap_stream(pieces);
    let response = session.put("upload").body(body).send().await.unwrap();
    assert_eq!(response.status(), 401);
    session.get("data").send().await.unwrap();
    assert_eq!(resource.statuses(), [401, 200]);
    assert_eq!(nonces(&resource), ["", "nonce-1"]);
}

#[tokio::test]
async fn r3_a_nonce_from_an_error_response_is_in_the_retry() {
    let clock = ManualClock::default();
    let server = Server::start();
    let busy = ScriptedResponse::unavailable().header("dpop-nonce", "from-a-failure");
    server.expect(
        Expect::get("/data")
            .respond(busy)
            .respond(ScriptedResponse::status(200)),
    );
    let session = builder(&server, &clock).build().unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
    let sent = proofs(&server);
    assert_eq!(sent[0].claim("nonce"), "");
    assert_eq!(sent[1].claim("nonce"), "from-a-failure");
    assert_ne!(sent[0].claim("jti"), sent[1].claim("jti"));
}

#[tokio::test]
async fn r3_each_origin_has_its_own_nonces() {
    let clock = ManualClock::default();
    let (one, other) = (Resource::start(&clock), Resource::start(&clock));
    one.change_nonce();
    other.change_nonce().change_nonce();
    let session = builder(&one.server, &clock)
        .origin(other.server.url())
        .build()
        .unwrap();
    for _ in 0..2 {
        for resource in [&one, &other] {
            let url = resource.server.url_for("/data");
            assert_eq!(session.get(url).send().await.unwrap().status(), 200);
        }
    }
    assert_eq!(nonces(&one), ["", "nonce-1", "nonce-1"]);
    assert_eq!(nonces(&other), ["", "nonce-2", "nonce-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_a_hundred_requests_survive_a_change_of_the_nonce() {
    let clock = ManualClock::default();
    let resource = Resource::start(&clock);
    resource.change_nonce();
    let session = builder(&resource.server, &clock).build().unwrap();
    session.get("data").send().await.unwrap();
    for _ in 0..3 {
        resource.change_nonce();
        let requests = (0..100).map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.request(Method::PATCH, "data").send().await })
        });
        let requests: Vec<_> = requests.collect();
        for request in requests {
            assert_eq!(request.await.unwrap().unwrap().status(), 200);
        }
    }
    let statuses = resource.statuses();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        301
    );
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert!((4..=301).contains(&refused), "{refused}");
}
