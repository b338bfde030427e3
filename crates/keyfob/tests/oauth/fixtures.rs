//! A client of a scripted server, and its requests.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::oauth::{Client, ClientAuthentication};
use keyfob::{Error, Token, TokenCache, TokenSource};
use keyfob_testkit::{Received, TokenEndpoint};
use serde_json::Value;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A client of this endpoint, with a secret.
pub(crate) fn client(endpoint: &TokenEndpoint) -> Client {
    client_with(endpoint, ClientAuthentication::secret_basic("s3cr3t"))
}

pub(crate) fn client_with(endpoint: &TokenEndpoint, who: ClientAuthentication) -> Client {
    Client::builder("desktop")
        .token_endpoint(endpoint.url())
        .authentication(who)
        .build()
        .unwrap()
}

/// The token of a source.
pub(crate) async fn token_of(source: impl TokenSource) -> Result<Token, Error> {
    TokenCache::new(source).get_valid_token().await
}

/// The last request that the endpoint received.
pub(crate) fn last(endpoint: &TokenEndpoint) -> Received {
    endpoint.server().received().pop().unwrap()
}

/// Every value of a form field.
pub(crate) fn form_values(received: &Received, name: &str) -> Vec<String> {
    url::form_urlencoded::parse(&received.body)
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// The value of `Authorization: Basic`.
pub(crate) fn basic(received: &Received) -> String {
    let value = received.header("authorization").unwrap();
    let text = value.strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// The head and the claims of a JWT.
pub(crate) fn read_jwt(jwt: &str) -> (Value, Value) {
    let mut parts = jwt.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    });
    (parts.next().unwrap(), parts.next().unwrap())
}
