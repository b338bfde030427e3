//! What a client gets when there is no token or no upstream (P1).

use std::time::Duration;

use keyfob::proxy::Route;
use keyfob::source::Persisted;
use keyfob::store::{MemoryStore, StoreKey};
use keyfob::{Error, ErrorKind, RetryPolicy, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::fixtures::{RawUpstream, Running, at_once, route};

/// The status, the problem, and the header section of a response.
async fn problem(proxy: &Running, path: &str) -> (u16, serde_json::Value, String) {
    let response = proxy.get(path).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("\r\ncontent-type: application/problem+json"),
        "{response}"
    );
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], "about:blank");
    (status, problem, head.to_owned())
}

fn route_with(url: &str, tokens: TokenCache) -> Route {
    let route = Route::builder("api", url, tokens).retry(at_once());
    route.build().unwrap()
}

#[tokio::test]
async fn p1_without_a_credential_nothing_goes_upstream() {
    for (error, expected) in [
        (Error::unavailable("the vault is sealed"), 503),
        (Error::refused("the vault refuses this machine"), 502),
    ] {
        let server = Server::start();
        let kind = error.kind();
        let detail = error.to_string();
        let tokens = TokenCache::new(keyfob::hook_blocking(move |_| {
            Err::<&str, _>(error.clone())
        }));
        let proxy = Running::route(route_with(&server.url(), tokens)).await;
        for _ in 0..2 {
            let (status, problem, head) = problem(&proxy, "/x").await;
            assert_eq!(status, expected);
            assert_eq!(problem["kind"], kind.name());
            assert_eq!(problem["detail"], detail);
            assert_eq!(
                head.contains("\r\nretry-after: "),
                expected == 503,
                "{head}"
            );
        }
        assert_eq!(server.calls(), 0);
        assert_eq!(proxy.reports()[0].error(), Some(kind));
        assert_eq!(proxy.reports()[0].route(), Some("api"));
    }
}

#[tokio::test]
async fn p1_retry_after_is_that_of_the_issuer_although_a_store_is_read_sooner() {
    let hook = keyfob::hook(|_| async {
        Err::<&str, _>(Error::unavailable("busy").retry_after(Duration::from_secs(900)))
    });
    let key = StoreKey::builder("https://issuer.example.com").build();
    let tokens = TokenCache::new(Persisted::new(hook, MemoryStore::default(), key));
    let proxy = Running::route(route_with("http://127.0.0.1:9", tokens)).await;
    for _ in 0..2 {
        let (_, _, head) = problem(&proxy, "/x").await;
        let (_, seconds) = head.split_once("\r\nretry-after: ").unwrap();
        let seconds: u32 = seconds.lines().next().unwrap().parse().unwrap();
        assert!((800..=900).contains(&seconds), "{head}");
    }
}

#[tokio::test]
async fn p1_an_upstream_that_fails_is_told_in_words() {
    let refused = RawUpstream::start().await.url("/");
    let server = Server::start();
    server.expect(Expect::get("/garbage").always(ScriptedResponse::garbage()));
    server.expect(Expect::get("/reset").always(ScriptedResponse::reset()));
    server.expect(Expect::get("/closes").always(ScriptedResponse::close()));
    server.expect(Expect::get("/hangs").always(ScriptedResponse::hang()));
    for (url, path, status, words) in [
        (refused, "/", 502, "check that it runs"),
        (
            server.url(),
            "/garbage",
            502,
            "the server's response is not HTTP",
        ),
        (server.url(), "/reset", 502, "lost its connection"),
        (
            server.url(),
            "/closes",
            502,
            "closed the connection without a response",
        ),
        (server.url(), "/hangs", 504, "timed out"),
        (
            server.url().replace("http:", "https:"),
            "/",
            502,
            "does not speak TLS",
        ),
        (
            "http://no-such-host.invalid/".to_owned(),
            "/",
            502,
            "found no connection",
        ),
    ] {
        let route = route(&url)
            .retry(RetryPolicy::never())
            .timeout(Duration::from_millis(300))
            .allow_plain_http();
        let proxy = Running::route(route.build().unwrap()).await;
        let (found, problem, _) = problem(&proxy, path).await;
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert_eq!(found, status, "{url} {detail}");
        assert!(detail.contains(words), "{url} {detail}");
        assert_eq!(problem["kind"], ErrorKind::Transport.name());
    }
}

#[tokio::test]
async fn p6_retries_and_renewals_are_reported() {
    let server = Server::start();
    server.expect(
        Expect::any()
            .respond(ScriptedResponse::status(503))
            .times(2),
    );
    server.expect(
        Expect::any()
            .respond(ScriptedResponse::unauthorized(
                "Bearer error=\"invalid_token\"",
            ))
            .times(1),
    );
    server.expect(Expect::any().always(ScriptedResponse::text("ok")));
    let proxy = Running::route(route(server.url()).build().unwrap()).await;
    let response = proxy.get("/").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let report = &proxy.reports()[0];
    assert_eq!(
        (report.retries(), report.renewals(), report.error()),
        (2, 1, None)
    );
}
