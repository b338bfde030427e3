//! Debian's `glewlwyd`, which differs from the certified provider in points in which real servers differ.

use keyfob::oauth::{Client, ClientAuthentication, ClientCredentials, DeviceCode, RefreshToken};
use keyfob::{Error, ErrorKind, Token, TokenCache, TokenSource};
use keyfob_testkit::{ManualClock, json};

use crate::device_code_pauses::without_pauses;
use crate::glewlwyd_server::{Glewlwyd, ROBOT, SCOPE};

const ODD: &str = "p:ss w+rd%/&=~";

async fn token_of(source: impl TokenSource) -> Result<Token, Error> {
    TokenCache::new(source).get_valid_token().await
}

#[tokio::test]
async fn glewlwyd_accepts_a_basic_secret_only_unencoded() {
    let server = Glewlwyd::start(ODD).await;
    let source = |who| ClientCredentials::new(server.client(who)).scopes([SCOPE]);
    let unencoded = ClientAuthentication::secret_basic_unencoded(ODD);
    token_of(source(unencoded)).await.unwrap();
    token_of(source(ClientAuthentication::secret_post(ODD)))
        .await
        .unwrap();
    // The response is 403 without a body.
    let error = token_of(source(ClientAuthentication::secret_basic(ODD)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("403"), "{error}");
}

#[tokio::test]
async fn glewlwyd_introspects_and_revokes_its_tokens() {
    let server = Glewlwyd::start(ODD).await;
    let client = server.client(ClientAuthentication::secret_basic_unencoded(ODD));
    let token = token_of(ClientCredentials::new(client.clone()).scopes([SCOPE]))
        .await
        .unwrap();
    let said = client.introspect(&token).await.unwrap();
    assert!(said.is_active());
    assert_eq!(said.field("client_id"), Some(&json!(ROBOT)));
    assert_eq!(said.scopes().collect::<Vec<_>>(), [SCOPE]);
    client.revoke(&token).await.unwrap();
    assert!(!client.introspect(&token).await.unwrap().is_active());
}

#[tokio::test]
async fn t2_an_empty_refusal_of_a_used_refresh_token_is_permanent() {
    let server = Glewlwyd::start(ODD).await;
    let client = server.client(ClientAuthentication::secret_basic_unencoded(ODD));
    let first = server.refresh_token(ODD).await;
    let tokens = TokenCache::new(RefreshToken::new(client.clone(), first.clone()).unwrap());
    let mut seen = vec![first.clone()];
    for _ in 0..3 {
        tokens.renew().await.unwrap();
        let token = tokens.get_valid_token().await.unwrap();
        seen.push(token.refresh_token().unwrap().to_owned());
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "each was another one");

    let thief = RefreshToken::new(client, first).unwrap();
    let error = token_of(thief).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let error = tokens.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error.to_string().contains("without an error code"),
        "{error}"
    );
}

#[tokio::test]
async fn a_device_that_polls_too_often_is_slowed_down_and_then_signed_in() {
    let (server, clock) = (Glewlwyd::start("s3cret").await, ManualClock::default());
    let client = Client::builder(ROBOT)
        .issuer(server.issuer())
        .authentication(ClientAuthentication::secret_basic("s3cret"))
        .clock(clock.clone())
        .build()
        .unwrap();
    let authorization = DeviceCode::new(client).scopes([SCOPE]).start().await;
    let authorization = authorization.unwrap();
    let code = authorization.user_code().to_owned();
    // For the server, no time passes between the requests.
    let (outcome, pauses) = without_pauses(authorization, &clock, async || {
        server.approve_device(&code).await;
    })
    .await;
    assert!(outcome.unwrap().refresh_token().is_some());
    assert_eq!(pauses, [5, 5, 10]);
}
