//! The servers of the demo: an issuer and an API, which fail in planned ways.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keyfob::authentication::{ExternallyManagedJwt, GenericExternallyManagedJwtHandler};
use keyfob::error::BoxError;
use keyfob::source::Reason;
use keyfob_testkit::{Api, ScriptedResponse, TokenEndpoint, TokenResponse};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::output::error::CliError;

/// An issuer and an API on loopback. They count requests themselves, independently of the client.
pub(super) struct Servers {
    endpoint: TokenEndpoint,
    api: Api,
    http: reqwest::Client,
    ahead: AtomicU64,
    tokens: Mutex<Vec<Life>>,
}

/// From when until when a token could be used.
#[derive(Clone, Copy)]
pub(super) struct Life {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) is_revoked: bool,
}

/// The HTTP client of all parts of the demo. It needs no certificate authority, and so runs where none is installed.
pub(super) fn http_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_certs_only([])
}

/// A client that keyfob has no part in.
pub(super) fn plain_http_client() -> reqwest::Client {
    let client = http_client().redirect(Policy::none()).build();
    client.expect("it needs nothing of the system")
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
            http: plain_http_client(),
            ahead: AtomicU64::new(0),
            tokens: Mutex::default(),
        }
    }

    /// A handler whose hook requests tokens from the issuer.
    pub(super) fn handler(
        servers: &Arc<Self>,
    ) -> Result<GenericExternallyManagedJwtHandler, CliError> {
        let servers = Arc::clone(servers);
        let get_token = keyfob::hook(move |request| {
            if request.reason() == Reason::Due {
                servers.ahead.fetch_add(1, Ordering::Relaxed);
            }
            let servers = Arc::clone(&servers);
            async move { servers.fetch_token().await }
        });
        Ok(ExternallyManagedJwt::new(get_token).handler()?)
    }

    /// A user's hook: requests a token, and returns it with its lifetime.
    pub(super) async fn fetch_token(&self) -> Result<(String, Duration), BoxError> {
        let grant = [("grant_type", "client_credentials")];
        let asked = Instant::now();
        let response = self
            .http
            .post(self.endpoint.url())
            .form(&grant)
            .send()
            .await?;
        let response: Value = response.error_for_status()?.json().await?;
        let token = response["access_token"].as_str().ok_or("no access_token")?;
        let seconds = response["expires_in"].as_u64().ok_or("no expires_in")?;
        let lifetime = Duration::from_secs(seconds);
        self.lives().push(Life {
            from: Instant::now(),
            until: asked + lifetime,
            is_revoked: false,
        });
        Ok((token.to_owned(), lifetime))
    }

    /// Makes the API reject the current token.
    pub(super) fn revoke_token(&self) {
        self.endpoint.issuer().revoke_current();
        if let Some(current) = self.lives().last_mut() {
            current.until = Instant::now().min(current.until);
            current.is_revoked = true;
        }
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

    /// The tokens that were issued, the oldest first.
    pub(super) fn lives(&self) -> std::sync::MutexGuard<'_, Vec<Life>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LIFETIME: Duration = Duration::from_secs(3);
/// How long the issuer takes for a token.
pub(super) const ISSUING_TIME: Duration = Duration::from_millis(300);
const UNAVAILABLE_EVERY: u64 = 50;
