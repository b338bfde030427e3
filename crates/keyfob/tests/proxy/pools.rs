//! T10: a route whose requests each have the token of one key of a pool.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use keyfob::pool::PoolKey;
use keyfob::proxy::{ProxyBody, Route};
use keyfob::{Error, FixedToken, Profiles, Token, TokenPool};
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};
use serde_json::Value;

use crate::fixtures::{at_once, route};

/// A pool whose key `sealed` has no token now.
fn pool() -> TokenPool {
    TokenPool::new(|key: &PoolKey| {
        let subject = key.subject().to_owned();
        Ok(keyfob::hook_blocking(move |_| match subject.as_str() {
            "sealed" => Err(Error::unavailable("the vault is sealed")),
            _ => Ok((format!("token-of-{subject}"), Duration::from_secs(300))),
        }))
    })
}

async fn send(route: &Route, key: Option<&str>) -> Response<ProxyBody> {
    let mut request = Request::get("http://own.example/x").header("host", "own.example");
    if let Some(key) = key {
        request = request.extension(PoolKey::new(key).unwrap());
    }
    route.send(request.body(Empty::new()).unwrap()).await
}

async fn text(response: Response<ProxyBody>) -> String {
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn t10_a_route_sends_the_token_of_the_requests_key_and_nothing_without_one() {
    let server = Server::start();
    server.expect(Expect::get("/x").respond_with(|received| {
        ScriptedResponse::text(received.bearer().unwrap_or_default().to_owned())
    }));
    let pooled = route(server.url()).pool(&pool()).build().unwrap();
    for key in ["anna", "bert", "anna"] {
        let response = send(&pooled, Some(key)).await;
        assert_eq!(text(response).await, format!("token-of-{key}"));
    }
    assert_eq!(pooled.pool().unwrap().status().created, 2);
    assert_eq!(send(&pooled, None).await.status(), 502);
    assert_eq!(server.calls(), 3);
    // The last setting counts.
    let token = FixedToken::new(Token::new("shared").unwrap());
    let shared = route(server.url()).pool(&pool()).tokens(token);
    let shared = shared.build().unwrap();
    assert!(shared.pool().is_none());
    assert_eq!(text(send(&shared, Some("anna")).await).await, "shared");
}

#[tokio::test]
async fn t10_a_key_without_a_token_says_when_to_come_back_and_others_go_on() {
    let server = Server::start();
    server.expect(Expect::get("/x").always(ScriptedResponse::text("done")));
    let pooled = route(server.url()).pool(&pool()).retry(at_once());
    let pooled = pooled.build().unwrap();
    let failed = send(&pooled, Some("sealed")).await;
    assert_eq!(failed.status(), 503);
    assert!(failed.headers().contains_key("retry-after"), "{failed:?}");
    assert_eq!(send(&pooled, Some("anna")).await.status(), 200);
}

/// The header and the claims of a JWT.
fn jwt(text: &str) -> [Value; 2] {
    let mut parts = text.split('.').map(|part| {
        let part = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&part).unwrap()
    });
    let mut next = || parts.by_ref().next().unwrap();
    [next(), next()]
}

/// The public key and the nonce of a request's proof (RFC 9449 §4.2).
fn proof(received: &Received) -> (String, Option<String>) {
    let [header, claims] = jwt(received.header("dpop").unwrap());
    let nonce = claims["nonce"].as_str().map(str::to_owned);
    (header["jwk"].to_string(), nonce)
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_all_keys_of_a_pool_prove_possession_of_one_key_and_share_nonces() {
    let (server, public_keys) = (Server::start(), Arc::<Mutex<BTreeSet<String>>>::default());
    let seen = Arc::clone(&public_keys);
    server.expect(Expect::post("/token").respond_with(move |received| {
        let (key, nonce) = proof(received);
        seen.lock().unwrap().insert(key);
        if nonce.is_none() {
            let error = ScriptedResponse::json(json!({"error": "use_dpop_nonce"}));
            return error.with_status(400).header("DPoP-Nonce", "n0nce");
        }
        let [_, claims] = jwt(&received.form_value("assertion").unwrap());
        let token = format!("token-of-{}", claims["sub"].as_str().unwrap());
        ScriptedResponse::json(
            json!({"access_token": token, "token_type": "DPoP", "expires_in": 300}),
        )
    }));
    let seen = Arc::clone(&public_keys);
    server.expect(Expect::get("/x").respond_with(move |received| {
        seen.lock().unwrap().insert(proof(received).0);
        ScriptedResponse::text(
            received
                .header("authorization")
                .unwrap_or_default()
                .to_owned(),
        )
    }));
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = folder.path().join(name);
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let profiles = Profiles::from_text(&format!(
        "[profiles.api]\nbase_url = \"{}\"\nstore = \"memory\"\n[profiles.api.token]\ngrant = \"jwt_bearer\"\n\
         token_endpoint = \"{}\"\nclient_id = \"a\"\nprivate_key = \"file:{}\"\ndpop_key = \"file:{}\"\n",
        server.url(),
        server.url_for("/token"),
        key("assertion"),
        key("proof"),
    ));
    let profiles = profiles.unwrap();
    let profile = profiles.get("api").unwrap();
    let pool = profile.pool().unwrap().build().unwrap();
    // Before the route reads the key for itself.
    for subject in ["anna", "bert", "carla"] {
        let key = PoolKey::new(subject).unwrap();
        pool.lease(&key, None).await.unwrap();
    }
    let pooled = profile.route_builder().unwrap().pool(&pool).build();
    let pooled = pooled.unwrap();
    for subject in ["anna", "bert"] {
        let response = send(&pooled, Some(subject)).await;
        assert_eq!(text(response).await, format!("DPoP token-of-{subject}"));
    }
    assert_eq!(public_keys.lock().unwrap().len(), 1);
    // One refusal for the nonce, an exchange for each of three subjects, and two requests.
    assert_eq!(server.calls(), 6);
}
