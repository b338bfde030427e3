//! A chain of tokens: a JWT that is signed here, a token that a login endpoint gives for it, and one in exchange for that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use keyfob::oauth::{
    Algorithm, Client, ClientAuthentication, ClientCredentials, RequestText, SigningKey,
    TokenExchange, TokenType,
};
use keyfob::{ErrorKind, FixedToken, HttpToken, SignedJwt, Token, TokenCache, TokenSource};
use keyfob_testkit::{
    Expect, ManualClock, Received, ScriptedResponse, ScriptedSource, Server, json,
};

use crate::fixtures::{SECOND, form_values, read_jwt};

/// Three links, each with a cache of its own, on one clock.
struct Chain {
    clock: ManualClock,
    server: Server,
    jwt: TokenCache,
    login: TokenCache,
    outer: TokenCache,
}

const JWT: Duration = Duration::from_secs(600);
const LOGIN: u64 = 3600;
const OUTER: u64 = 1800;

impl Chain {
    /// Each response names the credential of its request.
    fn new(server: Server) -> Self {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH + 1_800_000_000 * SECOND);
        let cache = |source: Box<dyn TokenSource>| {
            let builder = TokenCache::builder(source).clock(clock.clone());
            builder.build().unwrap()
        };
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwt = SignedJwt::new(key).issuer("app").lifetime(JWT).unique_id();
        let jwt = cache(Box::new(jwt));
        let login = HttpToken::builder(server.url_for("/login"))
            .header(
                "authorization",
                RequestText::token_of(jwt.as_source()).after("Bearer "),
            )
            .json("/scope/name", "ci")
            .token("/data/token")
            .build()
            .unwrap();
        let login = cache(Box::new(login));
        let client = Client::builder_without_id().token_endpoint(server.url_for("/token"));
        let outer = TokenExchange::new(
            client.build().unwrap(),
            login.as_source(),
            TokenType::AccessToken,
        );
        let outer = cache(Box::new(outer));
        Self {
            clock,
            server,
            jwt,
            login,
            outer,
        }
    }

    fn start() -> Self {
        let server = Server::start();
        server.expect(Expect::post("/login").respond_with(login_response));
        let count = counter();
        server.expect(Expect::post("/token").respond_with(move |asked| {
            let subject = form_values(asked, "subject_token").pop().unwrap();
            ScriptedResponse::json(json!({
                "access_token": format!("outer-of-{subject}-{}", count()),
                "token_type": "Bearer", "expires_in": OUTER,
            }))
        }));
        Self::new(server)
    }

    fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for asked in self.server.received() {
            *calls.entry(asked.path).or_default() += 1;
        }
        calls
    }

    /// Lets a renewal in the background end.
    async fn settle(&self, cache: &TokenCache) {
        while cache.status().renewing {
            tokio::task::yield_now().await;
        }
    }
}

/// Counts from zero.
fn counter() -> impl Fn() -> usize + Send + Sync + 'static {
    let next = AtomicUsize::new(0);
    move || next.fetch_add(1, Ordering::Relaxed)
}

fn login_response(_: &Received) -> ScriptedResponse {
    ScriptedResponse::json(json!({"data": {"token": "login", "expires_in": LOGIN.to_string()}}))
}

#[tokio::test]
async fn only_the_due_link_is_renewed_with_one_call_for_each_link_and_life() {
    let chain = Chain::start();
    let mut served = 0;
    let mut renewals = 0;
    while renewals < 4 {
        for _ in 0..250 {
            chain.outer.lease(None).await.unwrap();
            served += 1;
        }
        // A renewal may begin one of the token that it needs. The clock goes on when they have ended, or they would time out.
        for cache in [&chain.outer, &chain.login, &chain.jwt] {
            chain.settle(cache).await;
        }
        renewals = chain.outer.status().renewals;
        chain.clock.advance(60 * SECOND);
    }
    assert!(served >= 1000, "{served}");
    let lives = chain.outer.status().renewals;
    let calls = chain.calls();
    assert_eq!(calls["/token"] as u64, lives);
    assert_eq!(calls["/login"] as u64, chain.login.status().renewals);
    // Four lives of at most 1,350 s: the token of the login endpoint was renewed once or twice, when the exchange needed it.
    assert!((2..=3).contains(&calls["/login"]), "{calls:?}");
    assert_eq!(chain.jwt.status().renewals, chain.login.status().renewals);
    assert_eq!(chain.outer.status().failures, 0);
}

#[tokio::test]
async fn a_cached_token_of_a_chain_touches_no_inner_link() {
    let chain = Chain::start();
    chain.outer.lease(None).await.unwrap();
    let (jwt, login) = (chain.jwt.status(), chain.login.status());
    // The inner tokens expire meanwhile, and a cache that is read renews.
    chain.clock.advance(1000 * SECOND);
    for _ in 0..1000 {
        assert!(chain.outer.header().is_some());
    }
    assert_eq!(chain.jwt.status().renewals, jwt.renewals);
    assert_eq!(chain.login.status().renewals, login.renewals);
    assert_eq!(chain.server.calls(), 2);
    assert!(!chain.jwt.authenticated(), "the JWT of 600 s has expired");
}

#[tokio::test]
async fn t1_a_hundred_callers_cause_one_call_for_each_link() {
    let chain = Chain::start();
    let callers = (0..100).map(|_| chain.outer.lease(None));
    for lease in join_all(callers).await {
        assert!(
            lease
                .unwrap()
                .token()
                .expose()
                .starts_with("outer-of-login")
        );
    }
    assert_eq!(chain.calls().into_values().collect::<Vec<_>>(), [1, 1]);
    assert_eq!(chain.jwt.status().renewals, 1);
}

#[tokio::test]
async fn t3_a_failing_middle_link_leaves_the_outer_token_in_use() {
    let server = Server::start();
    let count = counter();
    server.expect(Expect::post("/login").respond_with(move |_| match count() {
        0 => ScriptedResponse::json(json!({"data": {"token": "login", "expires_in": 900}})),
        _ => ScriptedResponse::unavailable(),
    }));
    server.expect(Expect::post("/token").always(ScriptedResponse::json(
        json!({"access_token": "outer", "token_type": "Bearer", "expires_in": OUTER}),
    )));
    let chain = Chain::new(server);
    chain.outer.lease(None).await.unwrap();
    // Due, and then in its leeway; the token of the login endpoint has expired.
    for _ in 0..2 {
        chain.clock.advance(890 * SECOND);
        let lease = chain.outer.lease(None).await.unwrap();
        assert_eq!(lease.token().expose(), "outer");
        chain.settle(&chain.outer).await;
    }
    chain.clock.advance(20 * SECOND);
    let error = chain.outer.lease(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.starts_with("the subject token: the token URL at http://127.0.0.1"),
        "{text}"
    );
    assert_eq!(chain.calls()["/token"], 1);
}

#[tokio::test]
async fn t8_an_inner_token_that_is_refused_is_replaced_once() {
    let server = Server::start();
    let count = counter();
    server.expect(Expect::post("/login").respond_with(move |_| {
        ScriptedResponse::json(
            json!({"data": {"token": format!("login-{}", count()), "expires_in": LOGIN}}),
        )
    }));
    server.expect(Expect::post("/token").respond_with(|asked| {
        match form_values(asked, "subject_token")[0].as_str() {
            "login-0" => {
                ScriptedResponse::json(json!({"error": "invalid_request"})).with_status(400)
            }
            _ => ScriptedResponse::json(
                json!({"access_token": "outer", "token_type": "Bearer", "expires_in": OUTER}),
            ),
        }
    }));
    let chain = Chain::new(server);
    assert_eq!(
        chain.outer.get_valid_token().await.unwrap().expose(),
        "outer"
    );
    let calls = chain.calls();
    assert_eq!((calls["/login"], calls["/token"]), (2, 2));
    assert_eq!(chain.jwt.status().renewals, 1, "the JWT was not refused");
}

#[tokio::test]
async fn t2_a_refusal_is_remembered_until_the_inner_token_is_another() {
    let server = Server::start();
    server.expect(Expect::post("/token").respond_with(|asked| {
        match asked.form_value("client_assertion").unwrap().as_str() {
            "good" => ScriptedResponse::json(
                json!({"access_token": "outer", "token_type": "Bearer", "expires_in": OUTER}),
            ),
            _ => ScriptedResponse::json(json!({"error": "invalid_client"})).with_status(401),
        }
    }));
    let clock = ManualClock::default();
    let assertion = ScriptedSource::new(["bad", "bad", "bad", "bad", "good"].map(Token::new));
    let client = Client::builder("a")
        .token_endpoint(server.url_for("/token"))
        .authentication(ClientAuthentication::assertion_from(assertion.clone()));
    let source = ClientCredentials::new(client.build().unwrap());
    let tokens = TokenCache::builder(source)
        .clock(clock.clone())
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = tokens.get_valid_token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert_eq!(server.calls(), 1, "the same assertion was sent again");
        clock.advance(70 * SECOND);
    }
    assert_eq!(tokens.get_valid_token().await.unwrap().expose(), "outer");
    assert_eq!(server.calls(), 2);
    assertion.verify();
}

#[tokio::test]
async fn t2_a_refusal_that_may_pass_is_not_remembered_for_the_inner_token() {
    let server = Server::start();
    let refusal = ScriptedResponse::json(json!({"message": "No credentials found"}));
    let token = json!({"access_token": "outer", "token_type": "Bearer", "expires_in": OUTER});
    let exchange = Expect::post("/token").respond(refusal.with_status(401));
    server.expect(exchange.always(ScriptedResponse::json(token)));
    let clock = ManualClock::default();
    let client = Client::builder_without_id().token_endpoint(server.url_for("/token"));
    let subject = FixedToken::new(Token::new("inner").unwrap());
    let source = TokenExchange::new(client.build().unwrap(), subject, TokenType::AccessToken);
    let tokens = TokenCache::builder(source).clock(clock.clone());
    let tokens = tokens.build().unwrap();
    let error = tokens.get_valid_token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    clock.advance(70 * SECOND);
    assert_eq!(tokens.get_valid_token().await.unwrap().expose(), "outer");
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn an_assertion_of_another_source_is_read_for_each_exchange() {
    let server = Server::start();
    server.expect(Expect::post("/token").respond_with(|_| {
        ScriptedResponse::json(
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": OUTER}),
        )
    }));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt");
    let client = |builder: keyfob::oauth::ClientBuilder| {
        let file = keyfob::FileToken::new(&file);
        builder
            .token_endpoint(server.url_for("/token"))
            .revocation_endpoint(server.url_for("/token"))
            .introspection_endpoint(server.url_for("/token"))
            .authentication(ClientAuthentication::assertion_from(file))
            .build()
            .unwrap()
    };
    let tokens = TokenCache::new(ClientCredentials::new(client(Client::builder_without_id())));
    for jwt in ["first", "second"] {
        std::fs::write(&file, jwt).unwrap();
        tokens.renew().await.unwrap();
        let asked = server.received().pop().unwrap();
        assert_eq!(form_values(&asked, "client_assertion"), [jwt]);
        assert_eq!(
            form_values(&asked, "client_assertion_type"),
            ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
        );
        assert!(form_values(&asked, "client_id").is_empty());
        assert_eq!(asked.header("authorization"), None);
    }
    // Wherever a client authenticates.
    let named = client(Client::builder("a"));
    named.revoke(&Token::new("x").unwrap()).await.unwrap();
    let asked = server.received().pop().unwrap();
    assert_eq!(form_values(&asked, "client_assertion"), ["second"]);
    assert_eq!(form_values(&asked, "client_id"), ["a"]);
    // The body of the fake is no answer to it, but the request is complete.
    let _ = named.introspect(&Token::new("x").unwrap()).await;
    let asked = server.received().pop().unwrap();
    assert_eq!(form_values(&asked, "client_assertion"), ["second"]);
}

#[tokio::test]
async fn a_client_that_authenticates_by_a_secret_needs_an_identifier() {
    let client = Client::builder_without_id()
        .token_endpoint("https://login.example.com/token")
        .authentication(ClientAuthentication::secret_post("s3cr3t"));
    let error = client.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(
        error.to_string().contains("needs its identifier"),
        "{error}"
    );
}

#[tokio::test]
async fn a_signed_jwt_has_the_claims_and_times_that_were_set() {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + 1_700_000_000 * SECOND);
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap().key_id("k1");
    let jwt = SignedJwt::new(key)
        .issuer("me")
        .subject("you")
        .audience("them")
        .scopes(["a", "b"])
        .claim("nested", json!({"list": [1, true]}))
        .lifetime(540 * SECOND)
        .backdate(60 * SECOND)
        .not_before();
    assert!(!format!("{jwt:?}").contains("them"), "{jwt:?}");
    let tokens = TokenCache::builder(jwt)
        .clock(clock.clone())
        .build()
        .unwrap();
    let token = tokens.get_valid_token().await.unwrap();
    let (head, claims) = read_jwt(token.expose());
    assert_eq!(head, json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}));
    assert_eq!(
        claims,
        json!({
            "iss": "me", "sub": "you", "aud": "them", "scope": "a b", "nested": {"list": [1, true]},
            "iat": 1_699_999_940, "nbf": 1_699_999_940, "exp": 1_700_000_540,
        })
    );
    // The leeway of 540 s is 20 s.
    clock.advance(521 * SECOND);
    let renewed = tokens.get_valid_token().await.unwrap();
    assert_eq!(read_jwt(renewed.expose()).1["exp"], 1_700_001_061);
}

#[tokio::test]
async fn a_claim_that_is_a_time_cannot_be_set_as_another_claim() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let error = TokenCache::new(SignedJwt::new(key).claim("exp", 0))
        .get_valid_token()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("`exp`"), "{error}");
}

#[tokio::test]
async fn t4_the_lifetime_of_an_inner_token_does_not_begin_anew() {
    let clock = ManualClock::default();
    let inner = ScriptedSource::new(
        ["one", "two"].map(|text| Ok(Token::new(text)?.expires_in(100 * SECOND))),
    );
    let inner = TokenCache::builder(inner)
        .clock(clock.clone())
        .build()
        .unwrap();
    inner.lease(None).await.unwrap();
    clock.advance(60 * SECOND);
    let outer = TokenCache::builder(inner.as_source());
    let outer = outer.clock(clock.clone()).build().unwrap();
    assert_eq!(outer.get_valid_token().await.unwrap().expose(), "one");
    assert_eq!(outer.status().expires_in, Some(40 * SECOND));
    // In the leeway of both, which a lifetime of 40 s would have begun later.
    clock.advance(31 * SECOND);
    assert_eq!(outer.get_valid_token().await.unwrap().expose(), "two");
    assert_eq!(inner.status().renewals, 2);
}
