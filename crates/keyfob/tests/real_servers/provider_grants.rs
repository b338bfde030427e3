//! Grants, client authentication, introspection and revocation against the certified provider.

use keyfob::oauth::{
    Algorithm, Audience, Client, ClientAuthentication, ClientCredentials, JwtBearer, SigningKey,
    SmartBackendServices, TokenExchange, TokenType,
};
use keyfob::{Error, ErrorKind, FixedToken, Token, TokenCache, TokenSource};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::provider_server::{Provider, desktop, with_key, with_secret};

/// Each of these characters is encoded in a form, or has a meaning in Basic.
const ODD: &str = "p:ss w+rd%/&=~";

async fn token_of(source: impl TokenSource) -> Result<Token, Error> {
    TokenCache::new(source).get_valid_token().await
}

fn with_odd_secret(method: &str) -> Provider {
    Provider::start(json!({"clients": [with_secret("odd one:", ODD, method)]}))
}

#[tokio::test]
async fn a_secret_with_special_characters_works_in_basic_and_in_the_form() {
    for (method, who) in [
        (
            "client_secret_basic",
            ClientAuthentication::secret_basic(ODD),
        ),
        ("client_secret_post", ClientAuthentication::secret_post(ODD)),
    ] {
        let provider = with_odd_secret(method);
        let client = provider.client("odd one:", who);
        let token = token_of(ClientCredentials::new(client.clone()))
            .await
            .unwrap();
        assert!(client.introspect(&token).await.unwrap().is_active());
    }
}

#[tokio::test]
async fn the_provider_refuses_a_basic_secret_that_is_not_encoded() {
    let provider = with_odd_secret("client_secret_basic");
    let who = ClientAuthentication::secret_basic_unencoded(ODD);
    let client = provider.client("odd one:", who);
    let error = token_of(ClientCredentials::new(client)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn each_kind_of_key_is_accepted_for_both_audiences() {
    let algorithms = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];
    let keys = algorithms.map(|algorithm| {
        SigningKey::generate(algorithm)
            .unwrap()
            .key_id(algorithm.name())
    });
    let registered: Vec<_> = keys
        .iter()
        .map(|key| with_key(key.signs_as().name(), key))
        .collect();
    let provider = Provider::start(json!({"clients": registered, "oauthPath": true}));
    for key in keys {
        for audience in [Audience::TokenEndpoint, Audience::Issuer] {
            let who = ClientAuthentication::private_key_jwt(key.clone()).audience(audience);
            let client = provider.client(key.signs_as().name(), who);
            let tokens = TokenCache::new(ClientCredentials::new(client.clone()));
            // The provider accepts each JWT only once.
            tokens.authenticate().await.unwrap();
            tokens.renew().await.unwrap();
            let token = tokens.get_valid_token().await.unwrap();
            assert!(client.introspect(&token).await.unwrap().is_active());
        }
    }
}

#[tokio::test]
async fn kinds_of_refusals_are_told_apart() {
    let provider = Provider::start(json!({
        "clients": [
            with_secret("robot", "right", "client_secret_basic"),
            desktop("desktop"),
        ],
    }));
    let robot = |secret| provider.client("robot", ClientAuthentication::secret_basic(secret));
    let desktop = provider.client("desktop", ClientAuthentication::none());
    for (source, code) in [
        (ClientCredentials::new(robot("wrong")), "`invalid_client`"),
        (ClientCredentials::new(desktop), "`invalid_request`"),
        (
            ClientCredentials::new(robot("right")).resource("https://elsewhere.example.com"),
            "`invalid_target`",
        ),
    ] {
        let error = token_of(source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn a_resource_indicator_gets_a_token_for_that_api() {
    let clients = [with_secret("robot", "s3cr3t", "client_secret_basic")];
    let provider = Provider::start(json!({"clients": clients}));
    let client = provider.client("robot", ClientAuthentication::secret_basic("s3cr3t"));
    let source = ClientCredentials::new(client)
        .scopes(["read"])
        .resource("https://api.example.com/");
    let token = token_of(source).await.unwrap();
    let claims = jwt_claims(token.expose());
    assert_eq!(claims["aud"], "https://api.example.com/");
    assert_eq!(claims["scope"], "read");
}

fn jwt_claims(jwt: &str) -> serde_json::Value {
    use base64::Engine;
    let claims = jwt.split('.').nth(1).expect("a JWT");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn a_revoked_token_is_no_longer_active() {
    let clients = [with_secret("robot", "s3cr3t", "client_secret_post")];
    let provider = Provider::start(json!({"clients": clients}));
    let client = provider.client("robot", ClientAuthentication::secret_post("s3cr3t"));
    let token = token_of(ClientCredentials::new(client.clone()).scopes(["read"]))
        .await
        .unwrap();
    let introspection = client.introspect(&token).await.unwrap();
    assert!(introspection.is_active());
    assert_eq!(introspection.scopes().collect::<Vec<_>>(), ["read"]);
    assert_eq!(introspection.field("client_id"), Some(&json!("robot")));
    assert!(introspection.expires().is_some());
    client.revoke(&token).await.unwrap();
    assert!(!client.introspect(&token).await.unwrap().is_active());
    client
        .revoke(&token)
        .await
        .expect("an unknown token counts as revoked");
}

#[tokio::test]
async fn an_assertion_gets_a_token_for_its_subject() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let provider = Provider::start(json!({"clients": [with_key("robot", &key)]}));
    let who = ClientAuthentication::private_key_jwt(key.clone());
    let client = provider.client("robot", who);
    let source = JwtBearer::signed(client.clone(), key.clone())
        .subject("anna")
        .scopes(["openid"]);
    let tokens = TokenCache::new(source);
    tokens.authenticate().await.unwrap();
    tokens.renew().await.expect("each assertion is a new one");
    let token = tokens.get_valid_token().await.unwrap();
    let introspection = client.introspect(&token).await.unwrap();
    assert_eq!(introspection.field("sub"), Some(&json!("anna")));
    assert_eq!(token.scope(), Some("openid"));

    let forged = SigningKey::generate(Algorithm::Es256).unwrap();
    let error = token_of(JwtBearer::signed(client, forged))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");
}

#[tokio::test]
async fn a_token_is_exchanged_for_another() {
    let clients = [
        with_secret("front", "s3cr3t", "client_secret_basic"),
        with_secret("back", "s3cr3t", "client_secret_basic"),
    ];
    let provider = Provider::start(json!({"clients": clients}));
    let client = |id| provider.client(id, ClientAuthentication::secret_basic("s3cr3t"));
    let first = token_of(ClientCredentials::new(client("front")))
        .await
        .unwrap();
    let exchange = |subject| {
        TokenExchange::new(
            client("back"),
            FixedToken::new(subject),
            TokenType::AccessToken,
        )
        .scopes(["read"])
    };
    let second = token_of(exchange(first.clone())).await.unwrap();
    assert_ne!(first.expose(), second.expose());
    let introspection = client("back").introspect(&second).await.unwrap();
    assert_eq!(introspection.field("sub"), Some(&json!("front")));
    assert_eq!(introspection.field("client_id"), Some(&json!("back")));

    let error = token_of(exchange(Token::new("unknown").unwrap()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn smart_backend_services_get_a_token() {
    for algorithm in [Algorithm::Rs384, Algorithm::Es384] {
        let key = SigningKey::generate(algorithm).unwrap().key_id("2026-11");
        let provider = Provider::start(json!({"clients": [with_key("bulk", &key)]}));
        // The provider has no FHIR metadata. A scripted server has them, and names the provider.
        let fhir = Server::start();
        let smart = json!({"token_endpoint": provider.url("/token"), "capabilities": []});
        fhir.expect(
            Expect::get("/r4/.well-known/smart-configuration")
                .respond(ScriptedResponse::json(smart)),
        );
        let source = SmartBackendServices::discover(fhir.url_for("/r4"), "bulk", key).unwrap();
        token_of(source).await.unwrap();
    }
}

#[tokio::test]
async fn the_issuer_has_to_match_the_server_exactly() {
    let clients = [with_secret("robot", "s3cr3t", "client_secret_basic")];
    let provider = Provider::start(json!({"clients": clients}));
    let client = Client::builder("robot")
        .issuer(format!("{}/", provider.issuer()))
        .authentication(ClientAuthentication::secret_basic("s3cr3t"))
        .build()
        .unwrap();
    let error = token_of(ClientCredentials::new(client)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("another issuer"), "{error}");
}
