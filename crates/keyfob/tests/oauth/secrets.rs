//! S1 and S3: no secret in the debug output, errors or logs of the sources, nor in the logs of the libraries that they use.

use keyfob::oauth::{
    Algorithm, Client, ClientAuthentication, ClientCredentials, JwtBearer, RefreshToken,
    SigningKey, TokenExchange, TokenType,
};
use keyfob::{Error, FixedToken, Token, TokenCache, TokenSource};
use keyfob_testkit::{Expect, Received, ScriptedResponse, Server, json};

use crate::captured_log;
use crate::error_texts::error_texts;
use crate::own_process::run_alone;

/// A part of every secret in this test, in requests and in responses.
const SECRET: &str = "hush";
const PROGRAM: &str = "KEYFOB_TEST_ALONE";

#[test]
fn s1_no_log_at_any_level_shows_a_secret_of_an_exchange() {
    run_alone("secrets::everything_is_logged", &[(PROGRAM, "1")]);
}

#[test]
fn r1_a_secret_for_this_machine_does_not_use_a_proxy() {
    let proxy = Server::start();
    run_alone(
        "secrets::a_token_request_that_ignores_the_proxy",
        &[("HTTP_PROXY", proxy.url())],
    );
    assert_eq!(proxy.calls(), 0);
}

#[tokio::test]
#[ignore = "runs in a process of its own, which has a proxy in its environment"]
async fn a_token_request_that_ignores_the_proxy() {
    let endpoint = keyfob_testkit::TokenEndpoint::start();
    let source = ClientCredentials::new(crate::fixtures::client(&endpoint));
    TokenCache::new(source).get_valid_token().await.unwrap();
    assert_eq!(endpoint.calls(), 1);
}

#[test]
fn a_token_request_names_the_proxy_that_refused_it() {
    let proxy = Server::start();
    proxy.expect(Expect::any().always(ScriptedResponse::status(403)));
    let url = proxy.url();
    run_alone(
        "secrets::a_token_request_that_a_proxy_refuses",
        &[
            ("HTTPS_PROXY", url.replace("//", "//me:hush@")),
            (PROGRAM, url),
        ],
    );
}

#[tokio::test]
#[ignore = "runs in a process of its own, which has a proxy in its environment"]
async fn a_token_request_that_a_proxy_refuses() {
    let Ok(proxy) = std::env::var(PROGRAM) else {
        return;
    };
    let client = Client::builder("desktop").token_endpoint("https://login.test/token");
    let source = ClientCredentials::new(client.build().unwrap());
    let error = TokenCache::new(source).get_valid_token().await.unwrap_err();
    let texts = error_texts(&error);
    let named = format!(
        "the proxy {proxy}, which the environment names, refused a connection to login.test:443 with status 403"
    );
    assert!(texts.contains(&named) && !texts.contains(SECRET), "{texts}");
    assert_eq!(error.kind(), keyfob::ErrorKind::Unavailable);
    assert!(!error.is_outcome_unknown());
}

#[tokio::test]
#[ignore = "runs in a process of its own, which has a logger"]
async fn everything_is_logged() {
    if std::env::var_os(PROGRAM).is_none() {
        return;
    }
    captured_log::capture();
    let server = Server::start();
    server.expect(Expect::any().respond_with(respond));
    for who in [
        ClientAuthentication::secret_basic("hush"),
        ClientAuthentication::secret_post("hush"),
        ClientAuthentication::private_key_jwt(SigningKey::generate(Algorithm::Es256).unwrap()),
    ] {
        use_in_every_way(&server, &who).await;
    }
    let lines = captured_log::lines();
    for speaker in ["keyfob", "reqwest::", "hyper_util::"] {
        let speaks = |line: &String| line.starts_with(speaker);
        assert!(lines.iter().any(speaks), "{speaker} logged nothing");
    }
    let leaked: Vec<_> = lines.iter().filter(|line| line.contains(SECRET)).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

fn respond(received: &Received) -> ScriptedResponse {
    match received.path.as_str() {
        "/token" => ScriptedResponse::json(json!({
            "access_token": "hush",
            "refresh_token": "hush",
            "id_token": "hush",
            "token_type": "Bearer",
        })),
        "/refused" => ScriptedResponse::json(json!({"error": "hush", "error_description": "hush"}))
            .with_status(400),
        "/broken" => ScriptedResponse::reset(),
        "/introspect" => ScriptedResponse::json(json!({"active": true})),
        _ => ScriptedResponse::text("hush"),
    }
}

async fn use_in_every_way(server: &Server, who: &ClientAuthentication) {
    for path in ["/token", "/refused", "/broken", "/nonsense"] {
        let client = Client::builder("desktop")
            .token_endpoint(server.url_for(path))
            .introspection_endpoint(server.url_for("/introspect"))
            .revocation_endpoint(server.url_for("/revoke"))
            .authentication(who.clone())
            .build()
            .unwrap();
        let given = || FixedToken::new(Token::new("hush").unwrap());
        ask(ClientCredentials::new(client.clone()).parameter("password", "hush")).await;
        ask(RefreshToken::new(client.clone(), "hush").unwrap()).await;
        ask(JwtBearer::from_source(client.clone(), given())).await;
        ask(TokenExchange::new(client.clone(), given(), TokenType::Jwt)).await;
        let token = Token::new("hush")
            .unwrap()
            .with_refresh_token("hush")
            .unwrap();
        let texts = client.introspect(&token).await.unwrap();
        assert!(!format!("{texts:?}").contains(SECRET));
        client.revoke(&token).await.unwrap();
    }
}

async fn ask(source: impl TokenSource + std::fmt::Debug) {
    assert!(!format!("{source:?} {source:#?}").contains(SECRET));
    let tokens = TokenCache::new(source);
    let asked: Result<Token, Error> = tokens.get_valid_token().await;
    match asked {
        Ok(token) => assert!(!format!("{token:?}").contains(SECRET)),
        Err(error) => assert!(!error_texts(&error).contains(SECRET), "{error:?}"),
    }
}
