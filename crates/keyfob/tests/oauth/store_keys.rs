//! Tokens of different grants are different entries of a store.

use std::collections::HashSet;

use keyfob::oauth::{
    Algorithm, Client, ClientCredentials, CustomGrant, JwtBearer, RefreshToken, SigningKey,
    SmartBackendServices, TokenExchange, TokenType,
};
use keyfob::store::StoreKey;
use keyfob::{FixedToken, Token};

fn client(id: &str) -> Client {
    Client::builder(id)
        .issuer("https://login.example.com")
        .build()
        .unwrap()
}

fn endpoint(url: &str) -> Client {
    Client::builder("a").token_endpoint(url).build().unwrap()
}

fn credentials() -> ClientCredentials {
    ClientCredentials::new(client("a"))
}

#[test]
fn each_setting_that_changes_the_token_changes_the_key() {
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let given = || FixedToken::new(Token::new("x").unwrap());
    let keys: Vec<StoreKey> = [
        credentials().store_key(),
        ClientCredentials::new(client("b")).store_key(),
        ClientCredentials::new(endpoint("https://login.example.com/a")).store_key(),
        ClientCredentials::new(endpoint("https://login.example.com/b")).store_key(),
        credentials().scopes(["x"]).store_key(),
        credentials().audience("x").store_key(),
        credentials().resource("x").store_key(),
        credentials().parameter("x", "y").store_key(),
        credentials().parameter("x", "z").store_key(),
        credentials().parameter("xy", "").store_key(),
        credentials().store_key().subject("x"),
        RefreshToken::new(client("a"), "r").unwrap().store_key(),
        JwtBearer::signed(client("a"), key.clone()).store_key(),
        JwtBearer::signed(client("a"), key.clone())
            .subject("anna")
            .store_key(),
        JwtBearer::from_source(client("a"), given()).store_key(),
        TokenExchange::new(client("a"), given(), TokenType::Jwt).store_key(),
        CustomGrant::new(client("a"), "one").store_key(),
        CustomGrant::new(client("a"), "other").store_key(),
        SmartBackendServices::discover("https://ehr.example.com", "a", key)
            .unwrap()
            .store_key(),
    ]
    .map(|key| key.build())
    .into();
    let ids: HashSet<_> = keys.iter().map(StoreKey::id).collect();
    assert_eq!(ids.len(), keys.len(), "{keys:#?}");
}

#[test]
fn the_order_of_settings_does_not_change_the_key() {
    let one = credentials()
        .scopes(["x", "y"])
        .parameter("a", "1")
        .parameter("b", "2");
    let other = credentials()
        .scopes(["y"])
        .scopes(["x"])
        .parameter("b", "2")
        .parameter("a", "1");
    assert_eq!(one.store_key().build(), other.store_key().build());
}

#[test]
fn s1_no_parameter_is_readable_in_a_key() {
    let key = credentials()
        .parameter("password", "s3cr3t")
        .store_key()
        .build();
    assert!(!format!("{key:?} {} {}", key.id(), key.label()).contains("s3cr3t"));
}
