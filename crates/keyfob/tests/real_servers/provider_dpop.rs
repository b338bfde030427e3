//! Tokens bound to a key (RFC 9449), at the certified provider and its protected resource.

use keyfob::custom_client::Authenticator;
use keyfob::exchange::Challenges;
use keyfob::http::{HeaderMap, Method};
use keyfob::oauth::{
    Algorithm, Client, ClientAuthentication, ClientCredentials, DpopProver, RefreshToken,
    SigningKey,
};
use keyfob::origin::Origins;
use keyfob::{Error, ErrorKind, FixedToken, Session, Token, TokenCache};
use keyfob_testkit::json;
use serde_json::Value;

use crate::provider_server::{Provider, desktop, with_secret};

fn prover() -> DpopProver {
    DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap())
}

fn provider(setup: Value) -> Provider {
    let mut setup = setup;
    setup["clients"] = json!([
        with_secret("robot", "right", "client_secret_basic"),
        desktop("desktop"),
    ]);
    Provider::start(setup)
}

fn robot(provider: &Provider, prover: &DpopProver) -> Client {
    provider
        .builder("robot", ClientAuthentication::secret_basic("right"))
        .dpop(prover.clone())
        .build()
        .unwrap()
}

/// The headers of a request with a proof, without a nonce.
fn proven(prover: &DpopProver, token: &Token, method: &Method, url: &str) -> HeaderMap {
    let authenticator = Authenticator::new(fixed(token), Origins::default());
    let authenticator = authenticator.dpop(DpopProver::new(prover.key().clone()));
    let lease = authenticator.tokens().lease_blocking(None).unwrap();
    let mut fields = HeaderMap::new();
    let credential = authenticator.credential(&lease, method, || url);
    credential.unwrap().apply(&mut fields);
    fields
}

fn fixed(token: &Token) -> TokenCache {
    TokenCache::new(FixedToken::new(token.clone()))
}

/// A cache that is signed in as `anna`. Its tokens are bound to the key of the prover.
async fn signed_in(provider: &Provider, prover: &DpopProver) -> TokenCache {
    let response = provider.sign_in("desktop", "openid offline_access").await;
    refreshing(provider, prover, &response)
}

/// The same, with a refresh token that is bound to the key too. It is, after the first request with a proof.
async fn signed_in_with_proof(provider: &Provider, prover: &DpopProver) -> TokenCache {
    // The proof also names an access token. The token endpoint ignores that.
    let none = Token::new("none").unwrap().scheme("DPoP").unwrap();
    let mut fields = proven(prover, &none, &Method::POST, &provider.url("/token"));
    fields.remove("authorization");
    let scope = "openid offline_access";
    let response = provider.sign_in_with("desktop", scope, fields).await;
    assert_eq!(response["token_type"], "DPoP");
    refreshing(provider, prover, &response)
}

fn refreshing(provider: &Provider, prover: &DpopProver, response: &Value) -> TokenCache {
    let client = provider
        .builder("desktop", ClientAuthentication::none())
        .dpop(prover.clone())
        .build();
    let refresh = response["refresh_token"].as_str().unwrap();
    TokenCache::new(RefreshToken::new(client.unwrap(), refresh).unwrap())
}

/// A session for the provider's own protected resource.
fn session(provider: &Provider, tokens: TokenCache, prover: &DpopProver) -> Session {
    Session::builder(tokens)
        .base_url(provider.issuer())
        .dpop(prover.clone())
        .build()
        .unwrap()
}

async fn who(session: &Session) -> Result<(u16, Value), Error> {
    let response = session.get("me").send().await?;
    let status = response.status().as_u16();
    Ok((status, response.json().await.unwrap_or_default()))
}

/// Whether the resource refuses a proof without a nonce.
async fn asks_for_a_nonce(provider: &Provider, prover: &DpopProver, token: &Token) -> bool {
    let url = provider.url("/me");
    let fields = proven(prover, token, &Method::GET, &url);
    let client = keyfob::reqwest::Client::builder().no_proxy().build();
    let request = client.unwrap().get(url).headers(fields);
    let response = request.send().await.unwrap();
    Challenges::from_headers(response.headers()).use_dpop_nonce()
}

#[tokio::test]
async fn a_token_is_bound_to_every_kind_of_key() {
    let provider = provider(json!({}));
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let prover = DpopProver::new(SigningKey::generate(algorithm).unwrap());
        let client = robot(&provider, &prover);
        let tokens = TokenCache::new(ClientCredentials::new(client.clone()));
        let token = tokens.get_valid_token().await.unwrap();
        assert!(token.is_dpop());
        let said = client.introspect(&token).await.unwrap();
        assert!(said.is_active());
        let bound_to = said.field("cnf").unwrap()["jkt"].as_str();
        assert_eq!(bound_to, Some(prover.key().thumbprint().as_str()));
    }
}

#[tokio::test]
async fn a_nonce_is_obeyed_at_the_token_endpoint() {
    let provider = provider(json!({"dpopNonce": true}));
    let prover = prover();
    let tokens = TokenCache::new(ClientCredentials::new(robot(&provider, &prover)));
    tokens.authenticate().await.unwrap();
    tokens.renew().await.unwrap();
    assert!(tokens.get_valid_token().await.unwrap().is_dpop());
}

#[tokio::test]
async fn r3_the_resource_accepts_the_token_with_its_proof_and_nonce() {
    for nonce in [false, true] {
        let provider = provider(json!({"dpopNonce": nonce}));
        let prover = prover();
        let tokens = signed_in(&provider, &prover).await;
        let session = session(&provider, tokens, &prover);
        for _ in 0..3 {
            let (status, said) = who(&session).await.unwrap();
            assert_eq!((status, &said["sub"]), (200, &json!("anna")));
            session.tokens().renew().await.unwrap();
        }
        let token = session.tokens().get_valid_token().await.unwrap();
        assert_eq!(asks_for_a_nonce(&provider, &prover, &token).await, nonce);
    }
}

#[tokio::test]
async fn r2_the_resource_refuses_a_token_without_the_right_proof() {
    let provider = provider(json!({}));
    let own = prover();
    let tokens = signed_in(&provider, &own).await;
    let token = tokens.get_valid_token().await.unwrap();
    let bearer = Token::new(token.expose()).unwrap();
    let plain = Session::new(provider.issuer(), fixed(&bearer)).unwrap();
    assert_eq!(who(&plain).await.unwrap().0, 401);
    let stolen = session(&provider, fixed(&token), &prover());
    assert_eq!(who(&stolen).await.unwrap().0, 401);
    let error = who(&session(&provider, fixed(&bearer), &own)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(
        who(&session(&provider, fixed(&token), &own))
            .await
            .unwrap()
            .0,
        200
    );
}

#[tokio::test]
async fn a_refresh_token_of_a_public_client_works_only_with_its_key() {
    let provider = provider(json!({}));
    let own = prover();
    let tokens = signed_in_with_proof(&provider, &own).await;
    let token = tokens.get_valid_token().await.unwrap();
    let response = json!({"refresh_token": token.refresh_token()});
    let with = |prover: &DpopProver| refreshing(&provider, prover, &response);
    let error = with(&prover()).authenticate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");
    with(&own).authenticate().await.unwrap();
}
