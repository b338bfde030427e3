//! The middleware, in a `reqwest-middleware` client.

use std::time::Duration;

use async_trait::async_trait;
use http::{Extensions, HeaderName};
use keyfob::middleware::{AuthenticationMiddleware, AuthenticationMiddlewareBuilder};
use keyfob::{Error, ErrorKind, RetryPolicy, Token, TokenCache};
use keyfob_testkit::{Expect, GatedSource, ManualClock, ScriptedResponse, ScriptedSource, Server};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

fn tokens(texts: &[&str]) -> ScriptedSource {
    ScriptedSource::new(texts.iter().map(|text| Token::new(*text)))
}

fn builder(server: &Server, source: &ScriptedSource) -> AuthenticationMiddlewareBuilder {
    AuthenticationMiddleware::builder(source.clone()).origin(server.url())
}

fn client(builder: AuthenticationMiddlewareBuilder) -> ClientWithMiddleware {
    let (client, authentication) = builder.build(reqwest::Client::builder()).unwrap();
    ClientBuilder::new(client).with(authentication).build()
}

/// The error of the middleware itself.
fn own(error: &reqwest_middleware::Error) -> &Error {
    match error {
        reqwest_middleware::Error::Middleware(error) => error.downcast_ref().unwrap(),
        other => panic!("{other:?} is not an error of the middleware"),
    }
}

fn streamed(text: &'static str) -> reqwest::Body {
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(text)]);
    reqwest::Body::wrap_stream(pieces)
}

#[tokio::test]
async fn r3_a_401_renews_and_is_replayed_once() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    let refused = ScriptedResponse::unauthorized("Bearer error=\"invalid_token\"");
    server.expect(Expect::post("/").bearer("one").respond(refused));
    server.expect(
        Expect::post("/")
            .bearer("two")
            .respond(ScriptedResponse::text("done")),
    );
    let client = client(builder(&server, &source));
    let response = client.post(server.url()).body("work").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "done");
    let received = server.received();
    assert!(received.iter().all(|request| request.body == "work"));
    server.verify();
}

#[tokio::test]
async fn r3_a_second_401_is_returned_as_it_is() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    let refused = ScriptedResponse::unauthorized("Bearer");
    server.expect(Expect::get("/").respond(refused).times(2));
    let response = client(builder(&server, &source)).get(server.url()).send();
    assert_eq!(response.await.unwrap().status(), 401);
    server.verify();
}

#[tokio::test]
async fn r3_a_streamed_body_is_sent_once_and_in_full() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    let refused = ScriptedResponse::unauthorized("Bearer");
    server.expect(Expect::put("/").respond(refused));
    server.expect(
        Expect::get("/")
            .bearer("two")
            .respond(ScriptedResponse::status(204)),
    );
    let (client, authentication) = builder(&server, &source)
        .build(reqwest::Client::builder())
        .unwrap();
    let client = ClientBuilder::new(client).with(authentication).build();
    let put = client.put(server.url()).body(streamed("all of it")).send();
    assert_eq!(put.await.unwrap().status(), 401);
    assert_eq!(server.received()[0].body, "all of it");
    assert_eq!(
        source.calls(),
        2,
        "the renewal ended before the response came"
    );
    let response = client.get(server.url()).send().await.unwrap();
    assert_eq!(response.status(), 204);
    server.verify();
}

#[tokio::test]
async fn r4_the_middleware_retries_what_a_session_retries_unless_asked_not_to() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(
        Expect::get("/")
            .respond(ScriptedResponse::unavailable())
            .respond(ScriptedResponse::reset())
            .respond(ScriptedResponse::status(200))
            .respond(ScriptedResponse::unavailable()),
    );
    server.expect(Expect::post("/").respond(ScriptedResponse::unavailable()));
    let cache = TokenCache::new(source.clone());
    let builder = || AuthenticationMiddleware::builder(cache.clone()).origin(server.url());
    let retrying = client(builder());
    let response = retrying.get(server.url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let response = retrying.post(server.url()).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let once = client(builder().retry(RetryPolicy::never()));
    let response = once.get(server.url()).send().await.unwrap();
    assert_eq!(response.status(), 503);
    server.verify();
}

#[tokio::test]
async fn r5_retry_after_is_obeyed_and_r7_each_attempt_is_authorized_anew() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let later = ScriptedResponse::too_many_requests("60");
    server.expect(Expect::post("/").bearer("one").respond(later));
    server.expect(
        Expect::post("/")
            .bearer("two")
            .respond(ScriptedResponse::status(200)),
    );
    let minute = |text| Token::new(text).map(|token| token.expires_in(Duration::from_secs(60)));
    let source = ScriptedSource::new([minute("one"), minute("two")]);
    let cache = TokenCache::builder(source.clone()).clock(clock.clone());
    let builder = AuthenticationMiddleware::builder(cache.build().unwrap())
        .origin(server.url())
        .retry(RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO));
    let sent = tokio::spawn(client(builder).post(server.url()).send());
    clock.until_sleeping_for(Duration::from_secs(60)).await;
    clock.advance(Duration::from_secs(60));
    assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    server.verify();
}

/// Tokens in a header that `reqwest` does not treat as a credential.
fn keys(texts: &[&str]) -> ScriptedSource {
    let name = HeaderName::from_static("x-api-key");
    ScriptedSource::new(
        texts
            .iter()
            .map(|text| Token::new(*text).map(|token| token.header_name(name.clone()))),
    )
}

#[tokio::test]
async fn r1_a_redirect_to_another_origin_carries_no_credential() {
    for source in [keys(&["one"]), tokens(&["one"])] {
        // The same host with another port.
        let (server, other) = (Server::start(), Server::start());
        let target = other.url_for("/there");
        server.expect(Expect::get("/").respond(ScriptedResponse::redirect(307, &target)));
        let back = server.url_for("/back");
        other.expect(Expect::get("/there").respond(ScriptedResponse::redirect(307, &back)));
        server.expect(Expect::get("/back").respond(ScriptedResponse::status(200)));
        let response = client(builder(&server, &source)).get(server.url()).send();
        assert_eq!(response.await.unwrap().status(), 200);
        for request in [&other.received()[0], &server.received()[1]] {
            assert!(!request.headers.contains_key("authorization"));
            assert!(!request.headers.contains_key("x-api-key"));
        }
        server.verify();
    }
}

#[tokio::test]
async fn r3_a_401_behind_a_redirect_sends_the_redirected_request_again() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(Expect::post("/").respond(ScriptedResponse::redirect(303, "/done")));
    let done = Expect::get("/done").respond(ScriptedResponse::unauthorized("Bearer"));
    let later = ScriptedResponse::unavailable().header("retry-after", "0");
    server.expect(done.respond(later).respond(ScriptedResponse::text("ok")));
    let policy = RetryPolicy::default().pauses(Duration::ZERO, Duration::ZERO);
    let client = client(builder(&server, &source).retry(policy));
    let response = client.post(server.url()).body("once").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    let received = server.received();
    let methods: Vec<_> = received
        .iter()
        .map(|request| request.method.as_str())
        .collect();
    assert_eq!(methods, ["POST", "GET", "GET", "GET"]);
    server.verify();
}

/// With such a client, the middleware cannot know what was sent last.
#[tokio::test]
async fn r3_a_401_behind_a_redirect_that_the_client_followed_does_not_send_a_post_again() {
    let (server, source) = (Server::start(), tokens(&["one", "two"]));
    server.expect(Expect::post("/").respond(ScriptedResponse::redirect(303, "/done")));
    server.expect(Expect::get("/done").respond(ScriptedResponse::unauthorized("Bearer")));
    let authentication = builder(&server, &source).build_for_client().unwrap();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(authentication)
        .build();
    let response = client.post(server.url()).body("once").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(source.calls(), 2, "the token is renewed");
    server.verify();
}

#[tokio::test]
async fn r1_a_redirect_within_the_origin_is_followed_with_the_credential() {
    let (server, source) = (Server::start(), keys(&["one"]));
    server.expect(Expect::get("/").respond(ScriptedResponse::redirect(302, "/there")));
    let there = Expect::get("/there").header("x-api-key", "one");
    server.expect(there.respond(ScriptedResponse::text("here")));
    let response = client(builder(&server, &source)).get(server.url()).send();
    assert_eq!(response.await.unwrap().text().await.unwrap(), "here");
    server.verify();
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::get("/").always(ScriptedResponse::redirect(302, "/")));
    let response = client(builder(&server, &source)).get(server.url()).send();
    let error = response.await.unwrap_err();
    assert_eq!(own(&error).kind(), ErrorKind::Redirect);
    assert_eq!(
        Error::find(&error).map(Error::kind),
        Some(ErrorKind::Redirect)
    );
    assert_eq!(server.calls(), 11);
}

/// Shows why the client must not follow redirects, and that one that does is reported.
///
/// If an assertion about `reqwest` fails, its behavior has improved, and the docs of the middleware have to
/// change.
#[tokio::test]
async fn r1_a_client_that_follows_redirects_to_other_origins_is_reported() {
    for (source, reqwest_leaks_on_hop) in [(keys(&["one"]), 1), (tokens(&["one"]), 2)] {
        let (server, other) = (Server::start(), Server::start());
        let first = other.url_for("/1");
        server.expect(Expect::get("/").respond(ScriptedResponse::redirect(307, &first)));
        other.expect(Expect::get("/1").respond(ScriptedResponse::redirect(307, "/2")));
        other.expect(Expect::get("/2").respond(ScriptedResponse::status(200)));
        let authentication = builder(&server, &source).build_for_client().unwrap();
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(authentication)
            .build();
        let error = client.get(server.url()).send().await.unwrap_err();
        assert_eq!(own(&error).kind(), ErrorKind::Origin);
        assert!(error.to_string().contains("Policy::none"), "{error}");
        let leaked = other.received().iter().position(|request| {
            request.headers.contains_key("authorization")
                || request.headers.contains_key("x-api-key")
        });
        assert_eq!(leaked, Some(reqwest_leaks_on_hop - 1));
        server.verify();
    }
}

#[tokio::test]
async fn r1_a_request_for_another_origin_is_not_sent() {
    let (server, other, source) = (Server::start(), Server::start(), tokens(&[]));
    let client = client(builder(&server, &source));
    let error = client.get(other.url()).send().await.unwrap_err();
    assert_eq!(own(&error).kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn r1_plain_http_is_refused_and_the_error_says_how_to_allow_it() {
    let source = tokens(&[]);
    let builder = || AuthenticationMiddleware::builder(source.clone());
    let plain = builder().origin("http://api.example").build_for_client();
    assert!(plain.unwrap_err().to_string().contains("allow_plain_http"));
    let error = client(builder().any_https_origin())
        .get("http://api.example/")
        .send()
        .await
        .unwrap_err();
    assert!(own(&error).to_string().contains("allow_plain_http"));
    let unbound = builder().build_for_client().unwrap_err();
    assert_eq!(unbound.kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn r2_without_a_token_nothing_is_sent() {
    let server = Server::start();
    let source = ScriptedSource::new([Err(Error::refused("the account is closed"))]);
    let client = client(builder(&server, &source));
    let error = client.get(server.url()).send().await.unwrap_err();
    assert_eq!(own(&error).kind(), ErrorKind::Refused);
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn r6_an_error_of_reqwest_is_returned_unchanged() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    server.expect(Expect::post("/").respond(ScriptedResponse::reset()));
    let client = client(builder(&server, &source));
    let error = client.post(server.url()).send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    server.verify();
}

#[tokio::test]
async fn r8_an_attempt_without_a_response_ends_after_its_timeout() {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(Expect::get("/").respond(ScriptedResponse::hang()));
    let source = tokens(&["one"]);
    let cache = TokenCache::builder(source.clone()).clock(clock.clone());
    let builder = AuthenticationMiddleware::builder(cache.build().unwrap()).origin(server.url());
    let builder = builder.retry(RetryPolicy::never());
    let sent = tokio::spawn(client(builder).get(server.url()).send());
    server.until_calls(1).await;
    clock.advance(AuthenticationMiddlewareBuilder::TIMEOUT);
    let error = sent.await.unwrap().unwrap_err();
    assert_eq!(own(&error).kind(), ErrorKind::Transport);
    server.verify();
}

#[tokio::test]
async fn r9_the_credential_wins_over_the_callers_and_the_urls() {
    let (server, source) = (Server::start(), tokens(&["one"]));
    let own = Expect::get("/").bearer("one").header("user-agent", "mine");
    server.expect(own.respond(ScriptedResponse::status(200)));
    let client = client(builder(&server, &source));
    let response = client
        .get(server.url().replace("//", "//me:pass@"))
        .basic_auth("me", Some("me"))
        .header("user-agent", "mine")
        .send();
    assert_eq!(response.await.unwrap().status(), 200);
    server.verify();
}

#[tokio::test]
async fn r9_userinfo_in_the_url_is_no_second_credential() {
    let (server, source) = (Server::start(), keys(&["one"]));
    let own = Expect::get("/").header("x-api-key", "one");
    server.expect(own.respond(ScriptedResponse::status(200)));
    let url = server.url().replace("//", "//me:pass@").parse().unwrap();
    let request = Request::new(http::Method::GET, url);
    let client = client(builder(&server, &source));
    let response = client.execute(request).await.unwrap();
    assert!(!server.received()[0].headers.contains_key("authorization"));
    assert_eq!(response.url().username(), "");
    server.verify();
}

#[tokio::test]
async fn t1_concurrent_callers_cause_one_fetch() {
    let (server, source) = (Server::start(), GatedSource::new());
    let expected = Expect::get("/").bearer("one");
    server.expect(expected.respond(ScriptedResponse::status(200)).times(20));
    let builder = AuthenticationMiddleware::builder(source.clone()).origin(server.url());
    let client = client(builder);
    let sent: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.get(server.url()).send()))
        .collect();
    source.next_call().await.respond(Token::new("one"));
    for sent in sent {
        assert_eq!(sent.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(source.calls(), 1);
    server.verify();
}

/// A middleware that responds without a request.
struct FromMemory;

#[async_trait]
impl Middleware for FromMemory {
    async fn handle(
        &self,
        _: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        Ok(http::Response::new("remembered").into())
    }
}

#[tokio::test]
async fn a_response_of_another_middleware_is_returned() {
    let source = tokens(&["one"]);
    let (client, authentication) = AuthenticationMiddleware::builder(source.clone())
        .origin("https://api.example")
        .build(reqwest::Client::builder())
        .unwrap();
    let client = ClientBuilder::new(client)
        .with(authentication)
        .with(FromMemory)
        .build();
    let response = client.get("https://api.example/").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "remembered");
}

#[test]
fn s1_debug_output_contains_no_token() {
    let source = tokens(&["s3cret"]);
    let cache = TokenCache::new(source.clone());
    cache.authenticate_blocking().unwrap();
    let builder = AuthenticationMiddleware::builder(cache).origin("https://api.example");
    let shown = format!("{builder:?}");
    let shown = format!("{shown} {:?}", builder.build_for_client().unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}
