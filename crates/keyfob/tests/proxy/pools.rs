//! T10: a route whose requests each have the token of one key of a pool.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use keyfob::pool::PoolKey;
use keyfob::proxy::{ProxyBody, Route};
use keyfob::{Error, FixedToken, Token, TokenPool};
use keyfob_testkit::{Expect, ScriptedResponse, Server};

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
