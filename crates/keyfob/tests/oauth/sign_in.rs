//! A sign-in that waits for its response, and the browser's side of it.

use std::net::SocketAddr;

use keyfob::oauth::{AuthorizationCode, AuthorizationRequest, Client};
use keyfob::{Error, Token, reqwest};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, json};
use tokio::task::JoinHandle;
use url::Url;

pub(crate) const TOKEN: &str = "/token";
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A sign-in that waits for its redirect, and the browser's side of it.
pub(crate) struct SignIn {
    pub(crate) url: Url,
    pub(crate) redirect_uri: String,
    pub(crate) waiting: JoinHandle<Result<Token, Error>>,
}

impl SignIn {
    pub(crate) async fn begin(flow: AuthorizationCode) -> Self {
        Self::of(flow.start().await.unwrap())
    }

    pub(crate) fn of(request: AuthorizationRequest) -> Self {
        Self {
            url: request.url().parse().unwrap(),
            redirect_uri: request.redirect_uri().to_owned(),
            waiting: tokio::spawn(request.wait()),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        parameter(&self.url, name)
    }

    /// The redirect of the server, with the right state and these parameters.
    pub(crate) fn back(&self, parameters: &str) -> String {
        let state = self.parameter("state");
        format!("{}?state={state}&{parameters}", self.redirect_uri)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let url: Url = self.redirect_uri.parse().unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    }

    pub(crate) async fn outcome(self) -> Result<Token, Error> {
        self.waiting.await.unwrap()
    }
}

pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let mut values = url.query_pairs().filter(|(key, _)| key == name);
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name}"))
        .1
        .into_owned();
    assert!(values.next().is_none(), "{name} comes twice");
    value
}

pub(crate) fn flow(server: &Server) -> AuthorizationCode {
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint("https://login.example.com/authorize?tenant=7")
        .build()
        .unwrap();
    AuthorizationCode::new(client)
}

/// A flow with discovery. The metadata have these fields too.
pub(crate) fn discovered(server: &Server, fields: &serde_json::Value) -> AuthorizationCode {
    let mut document = json!({
        "issuer": server.url(),
        "token_endpoint": server.url_for(TOKEN),
        "authorization_endpoint": server.url_for("/authorize"),
    });
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    server.expect(Expect::get(METADATA).always(ScriptedResponse::json(document)));
    let client = Client::builder("desktop")
        .issuer(server.url())
        .build()
        .unwrap();
    AuthorizationCode::new(client)
}

pub(crate) fn token() -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "access_token": "acc3ss",
        "token_type": "Bearer",
        "refresh_token": "r3fresh",
    }))
}

pub(crate) async fn visit(url: impl AsRef<str>) -> (u16, String) {
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = browser.get(url.as_ref()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(crate) async fn server_has_calls(server: &Server, calls: usize) {
    while server.calls() < calls {
        tokio::task::yield_now().await;
    }
}

/// A flow with a manual clock.
pub(crate) fn timed(server: &Server) -> (ManualClock, AuthorizationCode) {
    let clock = ManualClock::default();
    let client = Client::builder("desktop")
        .token_endpoint(server.url_for(TOKEN))
        .authorization_endpoint("https://login.example.com/authorize")
        .clock(clock.clone())
        .build()
        .unwrap();
    (clock, AuthorizationCode::new(client))
}
