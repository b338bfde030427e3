//! Sign-in of people at the certified provider, with a device code and in a browser with PKCE.

use keyfob::oauth::{
    AuthorizationCode, Client, ClientAuthentication, DeviceCode, PushedRequests, RefreshToken,
};
use keyfob::{ErrorKind, Token, TokenCache, reqwest};
use keyfob_testkit::{ManualClock, json};
use url::Url;

use crate::device_code_pauses::without_pauses;
use crate::provider_server::{Provider, browser, desktop};

const SCOPES: [&str; 2] = ["openid", "offline_access"];

fn provider() -> Provider {
    Provider::start(json!({"clients": [desktop("desktop")]}))
}

/// A client whose time the test moves.
fn client(provider: &Provider, clock: &ManualClock) -> Client {
    provider
        .builder("desktop", ClientAuthentication::none())
        .clock(clock.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_device_signs_in_and_later_renewals_need_no_person() {
    let (provider, clock) = (provider(), ManualClock::default());
    let client = client(&provider, &clock);
    let flow = DeviceCode::new(client.clone()).scopes(SCOPES);
    let authorization = flow.start().await.unwrap();
    let page = authorization
        .verification_uri_complete()
        .unwrap()
        .to_owned();
    assert!(page.contains(authorization.user_code()), "{page}");
    let token = without_pauses(authorization, &clock, async || {
        provider.approve_device(&page).await
    })
    .await
    .0
    .unwrap();
    assert!(client.introspect(&token).await.unwrap().is_active());
    goes_on_until_it_is_revoked(client, token).await;
}

/// Later renewals use the refresh token of the sign-in, until it is revoked.
async fn goes_on_until_it_is_revoked(client: Client, token: Token) {
    let refresh = token
        .refresh_token()
        .expect("the scope requests a refresh token");
    let tokens = TokenCache::new(RefreshToken::new(client.clone(), refresh).unwrap());
    let renewed = tokens.get_valid_token().await.unwrap();
    assert_ne!(renewed.expose(), token.expose());
    client.revoke(&renewed).await.unwrap();
    assert!(!client.introspect(&renewed).await.unwrap().is_active());
    let error = tokens.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_renewal_asks_for_no_scope_that_was_not_granted() {
    let (provider, clock) = (provider(), ManualClock::default());
    let client = client(&provider, &clock);
    let flow = DeviceCode::new(client.clone()).scopes(SCOPES);
    let authorization = flow.start().await.unwrap();
    let page = authorization
        .verification_uri_complete()
        .unwrap()
        .to_owned();
    let token = without_pauses(authorization, &clock, async || {
        provider.approve_device(&page).await
    });
    let token = token.await.0.unwrap();
    assert_eq!(token.scope(), Some("openid offline_access"));
    let refresh = token.refresh_token().unwrap().to_owned();
    let source = || {
        let source = RefreshToken::new(client.clone(), refresh.clone()).unwrap();
        source.scopes(["openid", "offline_access", "write"])
    };
    // The provider refuses a scope that it did not grant.
    let error = TokenCache::new(source()).renew().await.unwrap_err();
    assert!(error.to_string().contains("`invalid_scope`"), "{error}");
    // A source that knows what was granted leaves it out.
    let tokens = TokenCache::new(source());
    tokens.set_token(token).unwrap();
    let renewed = tokens.renew().await.unwrap();
    assert_eq!(renewed.scope(), Some("openid offline_access"));
}

#[tokio::test]
async fn a_denied_device_gets_an_error() {
    let (provider, clock) = (provider(), ManualClock::default());
    let authorization = DeviceCode::new(client(&provider, &clock)).start().await;
    let authorization = authorization.unwrap();
    let page = authorization
        .verification_uri_complete()
        .unwrap()
        .to_owned();
    let error = without_pauses(authorization, &clock, async || {
        provider.deny_device(&page).await
    })
    .await
    .0
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("`access_denied`"), "{error}");
}

/// Follows redirects like a browser until it is back at this machine. Returns the page there.
async fn follow(url: &str, redirect_uri: &str) -> String {
    follow_with(&browser(), url, redirect_uri).await.0
}

/// The same with this browser. Returns also how many pages of the server asked the person for something.
pub(crate) async fn follow_with(
    browser: &reqwest::Client,
    url: &str,
    redirect_uri: &str,
) -> (String, usize) {
    let mut url = Url::parse(url).unwrap();
    let mut asked = 0;
    loop {
        asked += usize::from(url.path().starts_with("/interaction/"));
        let response = browser.get(url.clone()).send().await.unwrap();
        if url.as_str().starts_with(redirect_uri) {
            return (response.text().await.unwrap(), asked);
        }
        let location = response.headers().get("location").expect("a redirect");
        url = url.join(location.to_str().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_browser_signs_in_and_later_renewals_need_no_person() {
    let provider = provider();
    let client = provider.client("desktop", ClientAuthentication::none());
    let flow = AuthorizationCode::new(client.clone()).scopes(SCOPES);
    let request = flow.start().await.unwrap();
    let (url, redirect_uri) = (request.url().to_owned(), request.redirect_uri().to_owned());
    let (token, page) = tokio::join!(request.wait(), follow(&url, &redirect_uri));
    assert!(page.contains("You are signed in"), "{page}");
    goes_on_until_it_is_revoked(client, token.unwrap()).await;
}

#[tokio::test]
async fn a_code_is_useless_without_the_verifier() {
    let provider = provider();
    let client = provider.client("desktop", ClientAuthentication::none());
    // The parameters are in the URLs, so that the test can change them.
    let flow = AuthorizationCode::new(client).scopes(SCOPES);
    let flow = flow.pushed_requests(PushedRequests::Never);
    // Another program has the URL of one sign-in, and passes its code to another sign-in, with the state of that one.
    let (theirs, mine) = (flow.start().await.unwrap(), flow.start().await.unwrap());
    let state = |url: &str| {
        let url = Url::parse(url).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state");
        state.unwrap().1.into_owned()
    };
    let stolen = theirs
        .url()
        .replace(&state(theirs.url()), &state(mine.url()));
    let encoded = |uri: &str| uri.replace(':', "%3A").replace('/', "%2F");
    let stolen = stolen.replace(
        &encoded(theirs.redirect_uri()),
        &encoded(mine.redirect_uri()),
    );
    let redirect_uri = mine.redirect_uri().to_owned();
    let (outcome, page) = tokio::join!(mine.wait(), follow(&stolen, &redirect_uri));
    assert!(page.contains("You are not signed in"), "{page}");
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("`invalid_grant`"), "{error}");
}
