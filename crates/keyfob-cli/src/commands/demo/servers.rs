//! The servers of the demo: an issuer and an API, which fail in planned ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyfob::Session;
use keyfob::authentication::{ExternallyManagedJwt, GenericExternallyManagedJwtHandler};
use keyfob::error::BoxError;
use keyfob::source::Reason;
use keyfob_testkit::{Api, ScriptedResponse, TokenEndpoint, TokenResponse};
use serde_json::Value;
use tokio::time::sleep;

use crate::output::error::CliError;

/// An issuer and an API on loopback. They count requests themselves, independently of the session.
pub(super) struct Servers {
    endpoint: TokenEndpoint,
    api: Api,
    ahead: Arc<AtomicU64>,
}

impl Servers {
    pub(super) fn start() -> Self {
        let endpoint = TokenEndpoint::start();
        endpoint.issuer().set_lifetime(LIFETIME);
        endpoint.always(TokenResponse::token().after(ISSUING_TIME));
        let api = Api::start(endpoint.issuer().clone());
        api.every(UNAVAILABLE_EVERY, ScriptedResponse::unavailable());
        Self {
            endpoint,
            api,
            ahead: Arc::default(),
        }
    }

    /// A handler whose hook requests tokens from the issuer.
    pub(super) fn handler(&self) -> Result<GenericExternallyManagedJwtHandler, CliError> {
        let client = reqwest::Client::new();
        let url = self.endpoint.url();
        let ahead = Arc::clone(&self.ahead);
        let get_token = keyfob::hook(move |request| {
            if request.reason() == Reason::Due {
                ahead.fetch_add(1, Ordering::Relaxed);
            }
            fetch_token(client.clone(), url.clone())
        });
        Ok(ExternallyManagedJwt::new(get_token).handler()?)
    }

    /// Makes the API reject the current token every few seconds; never returns.
    ///
    /// It waits until no renewal is near: a token that is revoked before it reaches the session would fail the replay after a 401, as
    /// it should.
    pub(super) async fn revoke_repeatedly(&self, session: &Session) {
        sleep(REVOKED_FIRST_AFTER).await;
        loop {
            while !is_settled(session) {
                sleep(POLL_INTERVAL).await;
            }
            self.endpoint.issuer().revoke_current();
            sleep(REVOKED_EVERY).await;
        }
    }

    pub(super) fn issuer_url(&self) -> String {
        self.endpoint.url()
    }

    pub(super) fn api_url(&self) -> String {
        self.api.url()
    }

    /// How many token requests reached the issuer.
    pub(super) fn issuer_calls(&self) -> u64 {
        self.endpoint.calls() as u64
    }

    /// How many renewals began while the token was still valid.
    pub(super) fn renewals_ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// How many responses the API sent.
    pub(super) fn responses(&self) -> u64 {
        self.api.requests()
    }

    /// How many of them had this status.
    pub(super) fn responses_with(&self, status: u16) -> u64 {
        self.api.count(status)
    }
}

/// True if the current token is not being renewed, and will not be soon.
fn is_settled(session: &Session) -> bool {
    let status = session.status();
    let is_far = |left: Duration| left > ISSUING_TIME * 2;
    status.authenticated && !status.renewing && status.next_renewal_in.is_some_and(is_far)
}

/// A user's hook: requests a token, and returns it with its lifetime.
async fn fetch_token(client: reqwest::Client, url: String) -> Result<(String, Duration), BoxError> {
    let grant = [("grant_type", "client_credentials")];
    let response = client.post(url).form(&grant).send().await?;
    let response: Value = response.error_for_status()?.json().await?;
    let token = response["access_token"].as_str().ok_or("no access_token")?;
    let seconds = response["expires_in"].as_u64().ok_or("no expires_in")?;
    Ok((token.to_owned(), Duration::from_secs(seconds)))
}

const LIFETIME: Duration = Duration::from_secs(3);
const ISSUING_TIME: Duration = Duration::from_millis(300);
const UNAVAILABLE_EVERY: u64 = 50;
const REVOKED_FIRST_AFTER: Duration = Duration::from_millis(450);
const REVOKED_EVERY: Duration = Duration::from_millis(3500);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
