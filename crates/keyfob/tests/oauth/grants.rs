//! The requests and results of each grant.

use std::time::Duration;

use keyfob::oauth::{
    Algorithm, AuthorizationCode, ClientCredentials, CustomGrant, DeviceCode, JwtBearer,
    RefreshToken, SigningKey, SmartBackendServices, TokenExchange, TokenType,
};
use keyfob::{ErrorKind, Expiry, FixedToken, Session, Token, blocking};
use keyfob_testkit::{Api, Expect, ScriptedResponse, Server, TokenEndpoint, TokenResponse, json};

use crate::fixtures::{client, form_values, last, read_jwt, token_of};
use crate::sign_in::{SignIn, visit};

/// It expires in the year 2096.
const ID_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.";

#[tokio::test]
async fn client_credentials_send_all_settings() {
    let endpoint = TokenEndpoint::start();
    let source = ClientCredentials::new(client(&endpoint))
        .scopes(["a:read", "b"])
        .audience("billing")
        .resource("https://api.example.com/")
        .resource("https://files.example.com/")
        .parameter("tenant", "x y&z");
    assert_eq!(token_of(source).await.unwrap().expose(), "token-1");
    let asked = last(&endpoint);
    assert_eq!(form_values(&asked, "grant_type"), ["client_credentials"]);
    assert_eq!(form_values(&asked, "scope"), ["a:read b"]);
    assert_eq!(form_values(&asked, "audience"), ["billing"]);
    assert_eq!(
        form_values(&asked, "resource"),
        ["https://api.example.com/", "https://files.example.com/"]
    );
    assert_eq!(form_values(&asked, "tenant"), ["x y&z"]);
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[tokio::test]
async fn a_custom_grant_sends_its_type_and_parameters() {
    let endpoint = TokenEndpoint::start();
    let source = CustomGrant::new(client(&endpoint), "urn:example:api-key")
        .scopes(["a"])
        .parameter("api_key", "s3cr3t");
    assert!(!format!("{source:?}").contains("s3cr3t"));
    assert_eq!(token_of(source).await.unwrap().expose(), "token-1");
    let asked = last(&endpoint);
    assert_eq!(form_values(&asked, "grant_type"), ["urn:example:api-key"]);
    assert_eq!(form_values(&asked, "api_key"), ["s3cr3t"]);
    assert_eq!(form_values(&asked, "scope"), ["a"]);
}

#[tokio::test]
async fn an_extra_parameter_does_not_repeat_one_of_the_grant() {
    let endpoint = TokenEndpoint::start();
    let source = ClientCredentials::new(client(&endpoint)).parameter("grant_type", "password");
    let error = token_of(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("`grant_type`"), "{error}");
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn a_session_gets_its_token_and_renews_it_after_a_401() {
    let endpoint = TokenEndpoint::start();
    let api = Api::start(endpoint.issuer().clone());
    let session = Session::new(api.url(), ClientCredentials::new(client(&endpoint))).unwrap();
    assert_eq!(session.get("a").send().await.unwrap().status(), 200);
    endpoint.issuer().revoke_current();
    assert_eq!(session.get("b").send().await.unwrap().status(), 200);
    assert_eq!(endpoint.calls(), 2);
}

#[test]
fn a_blocking_session_gets_its_token_without_a_runtime() {
    let endpoint = TokenEndpoint::start();
    let api = Api::start(endpoint.issuer().clone());
    let source = ClientCredentials::new(client(&endpoint));
    let session = blocking::Session::new(api.url(), source).unwrap();
    for path in ["a", "b"] {
        assert_eq!(session.get(path).send().unwrap().status(), 200);
    }
    endpoint.issuer().revoke_current();
    assert_eq!(session.get("c").send().unwrap().status(), 200);
    assert_eq!(endpoint.calls(), 2);
}

#[tokio::test]
async fn the_lifetime_may_be_a_number_a_text_or_missing() {
    for (given, expected) in [
        (json!(300), Expiry::In(Duration::from_secs(300))),
        (json!("300"), Expiry::In(Duration::from_secs(300))),
        (json!(300.5), Expiry::In(Duration::from_millis(300_500))),
        (json!(""), Expiry::Unknown),
        (json!(null), Expiry::Unknown),
    ] {
        let endpoint = TokenEndpoint::start();
        endpoint.next(TokenResponse::token().field("expires_in", given));
        let token = token_of(ClientCredentials::new(client(&endpoint)))
            .await
            .unwrap();
        assert_eq!(token.expires(), expected);
    }
}

#[tokio::test]
async fn t5_an_expiry_under_another_name_is_read_or_an_error() {
    let end = json!("2099-01-01T00:00:00Z");
    for (name, given, is_read) in [
        ("expiry", end.clone(), true),
        ("expiration", end, true),
        ("expiresIn", json!(300), true),
        ("expires_in_seconds", json!(300), true),
        ("expires_at", json!("2099-01-01 00:00:00"), true),
        ("ext_expires_in", json!(300), false),
        ("refresh_token_expires_in", json!(300), false),
    ] {
        let endpoint = TokenEndpoint::start();
        let response = TokenResponse::token().field("expires_in", json!(null));
        endpoint.next(response.field(name, given));
        let token = token_of(ClientCredentials::new(client(&endpoint)))
            .await
            .unwrap();
        assert_eq!(token.expires() != Expiry::Unknown, is_read, "{name}");
    }
    for (name, given) in [("expiry", json!("soon")), ("expires_when", json!(300))] {
        let endpoint = TokenEndpoint::start();
        let response = TokenResponse::token().field("expires_in", json!(null));
        endpoint.next(response.field(name, given));
        let error = token_of(ClientCredentials::new(client(&endpoint)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

#[tokio::test]
async fn t5_a_lifetime_that_cannot_be_read_is_an_error() {
    for given in [json!("soon"), json!([300]), json!(true), json!("1e999")] {
        let endpoint = TokenEndpoint::start();
        endpoint.next(TokenResponse::token().field("expires_in", given));
        let error = token_of(ClientCredentials::new(client(&endpoint))).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), keyfob::ErrorKind::Malformed);
        assert!(error.to_string().contains("`expires_in`"), "{error}");
    }
}

#[tokio::test]
async fn a_signed_assertion_has_issuer_subject_audience_and_expiry() {
    let endpoint = TokenEndpoint::start();
    let key = SigningKey::generate(Algorithm::Es256).unwrap().key_id("k1");
    let source = JwtBearer::signed(client(&endpoint), key)
        .subject("anna@example.com")
        .claim("tenant", "north")
        .scopes(["calendar"]);
    token_of(source.clone()).await.unwrap();
    let asked = last(&endpoint);
    assert_eq!(
        form_values(&asked, "grant_type"),
        ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    );
    assert_eq!(form_values(&asked, "scope"), ["calendar"]);
    let assertion = asked.form_value("assertion").unwrap();
    let (head, claims) = read_jwt(&assertion);
    assert_eq!(head, json!({"alg": "ES256", "kid": "k1", "typ": "JWT"}));
    assert_eq!(claims["iss"], "desktop");
    assert_eq!(claims["sub"], "anna@example.com");
    assert_eq!(claims["aud"], endpoint.url());
    assert_eq!(claims["tenant"], "north");
    let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lasts, JwtBearer::LIFETIME.as_secs());

    token_of(source).await.unwrap();
    let (_, again) = read_jwt(&last(&endpoint).form_value("assertion").unwrap());
    assert_ne!(claims["jti"], again["jti"], "each assertion is a new one");
}

#[tokio::test]
async fn an_assertion_may_come_from_another_source() {
    let endpoint = TokenEndpoint::start();
    let projected = FixedToken::new(Token::new("a.b.c").unwrap());
    token_of(JwtBearer::from_source(client(&endpoint), projected))
        .await
        .unwrap();
    assert_eq!(last(&endpoint).form_value("assertion").unwrap(), "a.b.c");
}

#[tokio::test]
async fn the_source_of_an_assertion_does_not_see_the_rejected_token() {
    let endpoint = TokenEndpoint::start();
    let api = Api::start(endpoint.issuer().clone());
    let assertions = keyfob::hook(|request: keyfob::source::TokenRequest| async move {
        assert!(request.previous().is_none(), "that was no assertion");
        assert!(
            request.challenges().is_empty(),
            "they were for no assertion"
        );
        Ok::<_, keyfob::Error>("a.b.c")
    });
    let source = JwtBearer::from_source(client(&endpoint), assertions);
    let session = Session::new(api.url(), source).unwrap();
    for _ in 0..2 {
        assert_eq!(session.get("a").send().await.unwrap().status(), 200);
        endpoint.issuer().revoke_current();
    }
    assert_eq!(endpoint.calls(), 2);
}

#[tokio::test]
async fn a_token_exchange_names_both_tokens_and_their_kinds() {
    let endpoint = TokenEndpoint::start();
    let fixed = |text: &str| FixedToken::new(Token::new(text).unwrap());
    let source = TokenExchange::new(client(&endpoint), fixed("subject"), TokenType::IdToken)
        .actor(fixed("actor"), TokenType::AccessToken)
        .requested_token_type(TokenType::Jwt)
        .audience("billing");
    token_of(source).await.unwrap();
    let asked = last(&endpoint);
    for (name, value) in [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token", "subject"),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
        ("actor_token", "actor"),
        (
            "actor_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:jwt",
        ),
        ("audience", "billing"),
    ] {
        assert_eq!(form_values(&asked, name), [value]);
    }
}

#[tokio::test]
async fn smart_backend_services_find_the_token_endpoint_and_sign_for_it() {
    for (algorithm, name) in [
        (Algorithm::Rs256, "RS384"),
        (Algorithm::Rs384, "RS384"),
        (Algorithm::Es384, "ES384"),
    ] {
        let endpoint = TokenEndpoint::start();
        let fhir = Server::start();
        let smart = json!({"token_endpoint": endpoint.url(), "capabilities": ["client-confidential-asymmetric"]});
        fhir.expect(
            Expect::get("/r4/.well-known/smart-configuration")
                .respond(ScriptedResponse::json(smart)),
        );
        let key = SigningKey::generate(algorithm).unwrap().key_id("2026-11");
        let source = SmartBackendServices::discover(fhir.url_for("/r4"), "bulk", key)
            .unwrap()
            .scopes(["system/Patient.rs"]);
        assert_eq!(token_of(source).await.unwrap().expose(), "token-1");
        let asked = last(&endpoint);
        assert_eq!(form_values(&asked, "grant_type"), ["client_credentials"]);
        assert_eq!(form_values(&asked, "scope"), ["system/Patient.rs"]);
        let (head, claims) = read_jwt(&asked.form_value("client_assertion").unwrap());
        assert_eq!(head, json!({"alg": name, "kid": "2026-11", "typ": "JWT"}));
        assert_eq!(claims["iss"], "bulk");
        assert_eq!(claims["sub"], "bulk");
        assert_eq!(claims["aud"], endpoint.url());
        let lasts = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert!(lasts <= 300, "{lasts} s is more than five minutes");
    }
}

#[test]
fn smart_backend_services_refuse_keys_with_another_algorithm() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let error = SmartBackendServices::discover("https://ehr.example.com", "bulk", key);
        assert!(error.unwrap_err().to_string().contains("RS384"));
    }
}

#[tokio::test]
async fn the_id_token_of_a_response_is_the_token_if_that_was_set() {
    let server = Server::start();
    let response = |id_token: Option<&str>| {
        ScriptedResponse::json(json!({
            "access_token": "not-this", "token_type": "N_A", "expires_in": 60, "id_token": id_token,
        }))
    };
    server.expect(Expect::post("/").respond(response(Some(ID_TOKEN))));
    server.expect(Expect::post("/").respond(response(None)));
    let client = keyfob::oauth::Client::builder("a").token_endpoint(server.url_for("/"));
    let source = ClientCredentials::new(client.build().unwrap()).use_id_token();
    let token = token_of(source.clone()).await.unwrap();
    assert_eq!(token.expose(), ID_TOKEN);
    let end = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    assert_eq!(token.expires(), Expiry::Hint(end));
    assert!(token.is_bearer());
    let error = token_of(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(
        error.to_string().contains("request the scope `openid`"),
        "{error}"
    );
}

#[tokio::test]
async fn every_grant_can_use_the_id_token_as_the_token() {
    let server = Server::start();
    let responses = [
        (
            "/token",
            json!({"access_token": "not-this", "token_type": "Bearer", "id_token": ID_TOKEN}),
        ),
        (
            "/device",
            json!({
                "device_code": "d", "user_code": "u", "verification_uri": "https://a.example", "expires_in": 60, "interval": 0,
            }),
        ),
    ];
    for (path, response) in responses {
        server.expect(Expect::post(path).always(ScriptedResponse::json(response)));
    }
    let client = keyfob::oauth::Client::builder("a")
        .token_endpoint(server.url_for("/token"))
        .device_authorization_endpoint(server.url_for("/device"))
        .authorization_endpoint(server.url_for("/authorize"))
        .build()
        .unwrap();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let subject = FixedToken::new(Token::new("subject").unwrap());
    let refresh_token = RefreshToken::new(client.clone(), "r").unwrap();
    let exchange = TokenExchange::new(client.clone(), subject, TokenType::Jwt);
    let device = DeviceCode::new(client.clone()).use_id_token();
    let sign_in = SignIn::begin(AuthorizationCode::new(client.clone()).use_id_token()).await;
    visit(&sign_in.back("code=c")).await;
    let tokens = [
        (
            "refresh_token",
            token_of(refresh_token.use_id_token()).await,
        ),
        (
            "jwt_bearer",
            token_of(JwtBearer::signed(client, key).use_id_token()).await,
        ),
        ("token_exchange", token_of(exchange.use_id_token()).await),
        ("device_code", device.start().await.unwrap().wait().await),
        ("authorization_code", sign_in.outcome().await),
    ];
    for (grant, token) in tokens {
        let token = token.unwrap_or_else(|error| panic!("{grant}: {error}"));
        assert_eq!(token.expose(), ID_TOKEN, "{grant}");
    }
}
