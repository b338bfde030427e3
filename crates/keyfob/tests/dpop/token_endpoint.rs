//! A token endpoint whose tokens are bound to a key (RFC 9449 §5 and §8).

use keyfob::oauth::{
    Algorithm, Client, ClientAuthentication, ClientBuilder, ClientCredentials, DpopProver,
    RefreshToken, SigningKey,
};
use keyfob::{ErrorKind, Session, TokenCache};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};

use crate::resource_server::{proofs, prover};

fn gives(token: &str, kind: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"access_token": token, "token_type": kind, "expires_in": 3600}))
}

fn wants(nonce: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": "use_dpop_nonce"}))
        .with_status(400)
        .header("dpop-nonce", nonce)
}

fn builder(server: &Server, prover: &DpopProver) -> ClientBuilder {
    Client::builder("desktop")
        .token_endpoint(server.url_for("/token?tenant=a"))
        .dpop(prover.clone())
}

fn tokens(server: &Server, prover: &DpopProver) -> TokenCache {
    TokenCache::new(ClientCredentials::new(
        builder(server, prover).build().unwrap(),
    ))
}

#[tokio::test]
async fn a_token_request_has_a_proof_that_is_bound_to_no_token() {
    let (server, prover) = (Server::start(), prover());
    server.expect(Expect::post("/token").respond(gives("t0ken", "dpop")));
    let token = tokens(&server, &prover).get_valid_token().await.unwrap();
    assert_eq!(token.authentication_scheme(), Some("DPoP"));
    let proofs = proofs(&server);
    let [proof] = proofs.as_slice() else {
        panic!("{proofs:?}");
    };
    assert_eq!(proof.claim("htm"), "POST");
    assert_eq!(proof.claim("htu"), server.url_for("/token"));
    assert_eq!(proof.thumbprint(), prover.key().thumbprint());
    assert!(proof.claims.get("ath").is_none() && proof.claims.get("nonce").is_none());
}

#[tokio::test]
async fn a_nonce_repeats_the_whole_form_once_and_is_kept() {
    let (server, prover) = (Server::start(), prover());
    server.expect(
        Expect::post("/token")
            .form("grant_type", "client_credentials")
            .respond(wants("one"))
            .respond(gives("first", "DPoP").header("dpop-nonce", "two"))
            .respond(gives("second", "DPoP")),
    );
    let tokens = tokens(&server, &prover);
    tokens.authenticate().await.unwrap();
    tokens.renew().await.unwrap();
    let proofs = proofs(&server);
    let nonces: Vec<_> = proofs.iter().map(|proof| proof.claim("nonce")).collect();
    assert_eq!(nonces, ["", "one", "two"]);
}

#[tokio::test]
async fn t2_a_server_that_refuses_every_nonce_is_a_temporary_failure() {
    let (server, prover) = (Server::start(), prover());
    server.expect(
        Expect::post("/token")
            .respond(wants("one"))
            .respond(wants("two")),
    );
    let error = tokens(&server, &prover).authenticate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("`use_dpop_nonce`"), "{error}");
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn other_error_responses_are_not_retried_even_with_a_nonce() {
    let (server, prover) = (Server::start(), prover());
    let refused = ScriptedResponse::json(json!({"error": "invalid_dpop_proof"}))
        .with_status(400)
        .header("dpop-nonce", "one");
    server.expect(Expect::post("/token").respond(refused));
    let error = tokens(&server, &prover).authenticate().await.unwrap_err();
    assert!(error.is_authentication());
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn an_error_that_asks_for_a_nonce_but_has_none_is_final() {
    let (server, prover) = (Server::start(), prover());
    let refused = ScriptedResponse::json(json!({"error": "use_dpop_nonce"})).with_status(400);
    server.expect(Expect::post("/token").respond(refused));
    assert!(tokens(&server, &prover).authenticate().await.is_err());
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn r2_a_bearer_token_instead_of_a_bound_one_is_an_error_and_is_not_sent() {
    let (server, api, prover) = (Server::start(), Server::start(), prover());
    server.expect(Expect::post("/token").always(gives("t0ken", "Bearer")));
    let session = Session::builder(tokens(&server, &prover))
        .base_url(api.url())
        .dpop(prover)
        .build()
        .unwrap();
    let error = session.get("data").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("`DPoP`"), "{error}");
    assert_eq!(api.calls(), 0);
}

#[tokio::test]
async fn r2_a_client_without_a_key_refuses_a_bound_token() {
    let server = Server::start();
    server.expect(Expect::post("/token").respond(gives("t0ken", "DPoP")));
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for("/token"))
        .build();
    let tokens = TokenCache::new(ClientCredentials::new(client.unwrap()));
    let error = tokens.authenticate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(server.received()[0].header("dpop"), None);
}

#[tokio::test]
async fn nonces_of_an_issuer_and_of_an_api_at_the_same_origin_are_separate() {
    let (server, prover) = (Server::start(), prover());
    let challenge = "DPoP error=\"use_dpop_nonce\"";
    server
        .expect(
            Expect::post("/token")
                .respond(wants("of-the-issuer"))
                .respond(gives("first", "DPoP"))
                .respond(gives("second", "DPoP")),
        )
        .expect(
            Expect::get("/data")
                .respond(
                    ScriptedResponse::unauthorized(challenge).header("dpop-nonce", "of-the-api"),
                )
                .respond(ScriptedResponse::status(200))
                .respond(ScriptedResponse::status(200)),
        );
    let session = Session::builder(tokens(&server, &prover))
        .base_url(server.url())
        .dpop(prover)
        .build()
        .unwrap();
    session.get("data").send().await.unwrap();
    session.tokens().renew().await.unwrap();
    assert_eq!(session.get("data").send().await.unwrap().status(), 200);
    let proofs = proofs(&server);
    let nonces: Vec<_> = proofs.iter().map(|proof| proof.claim("nonce")).collect();
    let (issuer, api) = ("of-the-issuer", "of-the-api");
    assert_eq!(nonces, ["", issuer, "", api, issuer, api]);
}

#[tokio::test]
async fn each_attempt_authenticates_the_client_anew() {
    let (server, prover) = (Server::start(), prover());
    server.expect(
        Expect::post("/token")
            .respond(wants("one"))
            .respond(gives("t0ken", "DPoP")),
    );
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let client = builder(&server, &prover)
        .authentication(ClientAuthentication::private_key_jwt(key))
        .build();
    let tokens = TokenCache::new(ClientCredentials::new(client.unwrap()));
    tokens.authenticate().await.unwrap();
    let assertions: Vec<_> = server
        .received()
        .iter()
        .map(|request| request.form_value("client_assertion").unwrap())
        .collect();
    assert_ne!(assertions[0], assertions[1]);
}

#[tokio::test]
async fn a_nonce_retry_sends_the_same_refresh_token() {
    let (server, prover) = (Server::start(), prover());
    let rotated = json!({
        "access_token": "t0ken", "token_type": "DPoP", "expires_in": 3600, "refresh_token": "second",
    });
    server.expect(
        Expect::post("/token")
            .form("refresh_token", "first")
            .respond(wants("one"))
            .respond(ScriptedResponse::json(rotated)),
    );
    server.expect(
        Expect::post("/token")
            .form("refresh_token", "second")
            .respond(gives("another", "DPoP")),
    );
    let client = builder(&server, &prover).build().unwrap();
    let tokens = TokenCache::new(RefreshToken::new(client, "first").unwrap());
    tokens.authenticate().await.unwrap();
    tokens.renew().await.unwrap();
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn s3_no_error_quotes_the_proof_of_a_token_request() {
    let (server, prover) = (Server::start(), prover());
    server.expect(Expect::post("/token").respond(ScriptedResponse::status(500)));
    let error = tokens(&server, &prover).authenticate().await.unwrap_err();
    let received = server.received();
    let proof = received[0].header("dpop").unwrap();
    assert!(!format!("{error} {error:?}").contains(&proof[..20]));
}
