//! Pushed authorization requests (RFC 9126) at the certified provider, with DPoP, and sign-ins that ask for more.

use std::time::Duration;

use keyfob::ErrorKind;
use keyfob::oauth::{
    Algorithm, AuthorizationCode, AuthorizationRequest, Client, ClientAuthentication, DpopProver,
    PushedRequests, SigningKey,
};
use keyfob::{Error, Token, reqwest};
use keyfob_testkit::json;
use serde_json::Value;

use crate::provider_server::{Provider, browser, desktop};
use crate::provider_sign_in::follow_with;

/// A provider that requires pushed requests, with these clients.
fn requiring(clients: Value) -> Provider {
    Provider::start(json!({"clients": clients, "pushed": true}))
}

fn prover() -> DpopProver {
    DpopProver::new(SigningKey::generate(Algorithm::Es256).unwrap())
}

fn public(provider: &Provider, id: &str) -> Client {
    provider.client(id, ClientAuthentication::none())
}

fn bound(provider: &Provider, id: &str, prover: DpopProver) -> Client {
    let client = provider.builder(id, ClientAuthentication::none());
    client.dpop(prover).build().unwrap()
}

/// Opens the URL of a sign-in, or another one, and returns the outcome and how often the person was asked.
async fn open(
    browser: &reqwest::Client,
    request: AuthorizationRequest,
    url: &str,
) -> (Result<Token, Error>, usize) {
    let redirect_uri = request.redirect_uri().to_owned();
    let (outcome, (_, asked)) =
        tokio::join!(request.wait(), follow_with(browser, url, &redirect_uri));
    (outcome, asked)
}

async fn sign_in(flow: AuthorizationCode) -> (Result<Token, Error>, String) {
    let request = flow.start().await.unwrap();
    let url = request.url().to_owned();
    (open(&browser(), request, &url).await.0, url)
}

#[tokio::test]
async fn a_server_that_requires_it_gets_a_pushed_request_of_each_kind_of_client() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    let with = |method: &str, more: Value| {
        let mut client = desktop(method);
        client["token_endpoint_auth_method"] = method.into();
        for (name, value) in more.as_object().unwrap() {
            client[name] = value.clone();
        }
        client
    };
    let secret = json!({"client_secret": "right"});
    let provider = requiring(json!([
        desktop("none"),
        with("client_secret_basic", secret.clone()),
        with("client_secret_post", secret),
        with(
            "private_key_jwt",
            json!({"jwks": {"keys": [jwk]}, "token_endpoint_auth_signing_alg": "ES256"})
        ),
    ]));
    for (id, who) in [
        ("none", ClientAuthentication::none()),
        (
            "client_secret_basic",
            ClientAuthentication::secret_basic("right"),
        ),
        (
            "client_secret_post",
            ClientAuthentication::secret_post("right"),
        ),
        (
            "private_key_jwt",
            ClientAuthentication::private_key_jwt(key),
        ),
    ] {
        let flow = AuthorizationCode::new(provider.client(id, who)).scopes(["openid"]);
        let (token, url) = sign_in(flow).await;
        assert!(
            url.contains("request_uri=") && !url.contains("scope="),
            "{url}"
        );
        assert_eq!(token.unwrap().scope(), Some("openid"), "{id}");
    }
}

#[tokio::test]
async fn a_server_that_requires_it_is_not_asked_in_another_way() {
    let provider = requiring(json!([desktop("desktop")]));
    let flow = AuthorizationCode::new(public(&provider, "desktop"));
    let error = flow.pushed_requests(PushedRequests::Never).start().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Input);
    let wrong = provider.client("desktop", ClientAuthentication::secret_basic("wrong"));
    let error = AuthorizationCode::new(wrong).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`invalid_client`"), "{error}");
}

#[tokio::test]
async fn a_pushed_request_of_a_client_with_a_key_has_a_proof_and_a_nonce() {
    // The provider demands a nonce of a client with such a name.
    let provider = requiring(json!([desktop("nonce-desktop")]));
    let client = bound(&provider, "nonce-desktop", prover());
    let (token, _) = sign_in(AuthorizationCode::new(client).scopes(["openid"])).await;
    assert_eq!(token.unwrap().authentication_scheme(), Some("DPoP"));
}

#[tokio::test]
async fn a_code_that_is_bound_to_another_key_brings_no_token() {
    let provider = Provider::start(json!({"clients": [desktop("desktop")]}));
    let prover = prover();
    let flow = AuthorizationCode::new(bound(&provider, "desktop", prover.clone()));
    let flow = flow
        .scopes(["openid"])
        .pushed_requests(PushedRequests::Never);
    let (token, url) = sign_in(flow.clone()).await;
    assert!(url.contains(&prover.thumbprint()), "{url}");
    token.unwrap();
    let request = flow.start().await.unwrap();
    let other = crate::provider_pushed_requests::prover().thumbprint();
    let changed = request.url().replace(&prover.thumbprint(), &other);
    let error = open(&browser(), request, &changed).await.0.unwrap_err();
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");
}

#[tokio::test]
async fn a_sign_in_with_a_shorter_age_asks_the_person_again() {
    let provider = Provider::start(json!({"clients": [desktop("desktop")]}));
    let (client, browser) = (public(&provider, "desktop"), browser());
    let flow = || AuthorizationCode::new(client.clone()).scopes(["openid"]);
    let asked = async |flow: AuthorizationCode| {
        let request = flow.start().await.unwrap();
        let url = request.url().to_owned();
        let (token, asked) = open(&browser, request, &url).await;
        token.unwrap();
        asked
    };
    // The provider asks for the consent to a native program each time.
    asked(flow()).await;
    let signed_in = asked(flow()).await;
    assert_eq!(
        asked(flow().max_age(Duration::from_secs(600))).await,
        signed_in
    );
    assert_eq!(asked(flow().max_age(Duration::ZERO)).await, signed_in + 1);
}
