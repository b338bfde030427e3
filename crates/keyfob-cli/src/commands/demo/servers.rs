//! The world that the session lives in: an issuer, an API, and what goes wrong there.

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

/// An issuer and an API on loopback. What they count is counted by them, not by the session.
pub(super) struct Servers {
    endpoint: TokenEndpoint,
    api: Api,
    ahead: Arc<AtomicU64>,
}

impl Servers {
    pub(super) fn start() -> Self {
        let endpoint = TokenEndpoint::start();
        endpoint.issuer().set_lifetime(LIFETIME);
        endpoint.always(TokenResponse::token().after(ISSUING));
        let api = Api::start(endpoint.issuer().clone());
        api.every(UNAVAILABLE_EVERY, ScriptedResponse::unavailable());
        Self {
            endpoint,
            api,
            ahead: Arc::default(),
        }
    }

    /// A handler whose hook asks the issuer.
    pub(super) fn handler(&self) -> Result<GenericExternallyManagedJwtHandler, CliError> {
        let client = reqwest::Client::new();
        let url = self.endpoint.url();
        let ahead = Arc::clone(&self.ahead);
        let get_token = keyfob::hook(move |request| {
            if request.reason() == Reason::Due {
                ahead.fetch_add(1, Ordering::Relaxed);
            }
            ask(client.clone(), url.clone())
        });
        Ok(ExternallyManagedJwt::new(get_token).handler()?)
    }

    /// Has the API reject the token in use, every few seconds, for ever.
    ///
    /// Only a token that is not about to be renewed anyway: one that is revoked on its way to the session would fail the
    /// very request that it is to heal, and rightly so.
    pub(super) async fn revoke_now_and_then(&self, session: &Session) {
        sleep(REVOKED_FIRST_AFTER).await;
        loop {
            while !is_settled(session) {
                sleep(GLANCE).await;
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

    /// Requests for a token that reached the issuer.
    pub(super) fn issuer_calls(&self) -> u64 {
        self.endpoint.calls() as u64
    }

    /// Renewals that the hook was asked for while the token was still good.
    pub(super) fn renewals_ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Requests that the API answered.
    pub(super) fn answered(&self) -> u64 {
        self.api.requests()
    }

    /// Those that it answered with this status.
    pub(super) fn answered_with(&self, status: u16) -> u64 {
        self.api.count(status)
    }
}

/// Whether the token in use is neither being renewed nor soon will be.
fn is_settled(session: &Session) -> bool {
    let status = session.status();
    let is_far = |left: Duration| left > ISSUING * 2;
    status.authenticated && !status.renewing && status.next_renewal_in.is_some_and(is_far)
}

/// What a user's hook does: ask somebody, and say how long the token lasts.
async fn ask(client: reqwest::Client, url: String) -> Result<(String, Duration), BoxError> {
    let grant = [("grant_type", "client_credentials")];
    let answer = client.post(url).form(&grant).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let token = answer["access_token"].as_str().ok_or("no access_token")?;
    let seconds = answer["expires_in"].as_u64().ok_or("no expires_in")?;
    Ok((token.to_owned(), Duration::from_secs(seconds)))
}

const LIFETIME: Duration = Duration::from_secs(3);
const ISSUING: Duration = Duration::from_millis(300);
const UNAVAILABLE_EVERY: u64 = 50;
const REVOKED_FIRST_AFTER: Duration = Duration::from_millis(450);
const REVOKED_EVERY: Duration = Duration::from_millis(3500);
const GLANCE: Duration = Duration::from_millis(10);
