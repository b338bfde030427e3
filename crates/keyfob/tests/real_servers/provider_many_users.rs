//! The example of a web service with a token for each of many users, in its short form.

use keyfob::pool::PoolKey;
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::Value;

use crate::many_users::{Service, send, serve, sign_in};
use crate::provider_server::{Provider, with_secret};

const USERS: usize = 40;

fn users_and_gateway() -> Vec<Value> {
    let user = |number| {
        with_secret(
            &format!("user-{number}"),
            "user-secret",
            "client_secret_basic",
        )
    };
    let gateway = with_secret("gateway", "gateway-secret", "client_secret_basic");
    (0..USERS).map(user).chain([gateway]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_a_web_service_exchanges_one_token_for_each_of_its_users() {
    let provider = Provider::start(json!({"clients": users_and_gateway()}));
    let api = Server::start();
    api.expect(Expect::get("/orders").always(ScriptedResponse::text("none")));
    let signed_in = sign_in(provider.issuer(), USERS).await.unwrap();
    let service = Service::new(provider.issuer(), &api.url(), signed_in).unwrap();
    let pool = service.pool.clone();
    let metrics = DebuggingRecorder::new().snapshotter();
    let url = serve(service.router(metrics)).await.unwrap();
    send(&url, USERS, 3).await.unwrap();
    assert_eq!(pool.status().entries, USERS);
    for number in 0..USERS {
        let key = PoolKey::builder(format!("user-{number}"));
        let status = pool.status_of(&key.scopes(["read"]).build().unwrap());
        assert_eq!(status.unwrap().renewals, 1);
    }
    let bearer = |received: &keyfob_testkit::Received| received.bearer().unwrap().to_owned();
    let mut tokens: Vec<_> = api.received().iter().map(bearer).collect();
    assert_eq!(tokens.len(), 3 * USERS);
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), USERS, "each user has a token of their own");

    let stranger = keyfob::reqwest::get(format!("{url}/orders/stranger"))
        .await
        .unwrap();
    assert_eq!(stranger.status(), 403);
    let hostile = keyfob::reqwest::get(format!("{url}/orders/a%0Ab"))
        .await
        .unwrap();
    assert_eq!(hostile.status(), 400);
}
