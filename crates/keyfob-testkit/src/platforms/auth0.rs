//! The token endpoint of an Auth0 tenant, for machine-to-machine applications.
//!
//! An application posts `grant_type=client_credentials`, its client id and secret, and the `audience` of the API to
//! `/oauth/token`. The API decides how long its tokens live; the default is 24 hours. A wrong secret is `access_denied` with the
//! status 401. An unknown API, and an API for which the application has no client grant, are `access_denied` with the status 403.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, error, granted};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// An Auth0 tenant with two APIs and one machine-to-machine application, which may use one of them.
///
/// ```
/// use keyfob_testkit::platforms::Auth0;
///
/// let tenant = Auth0::start();
/// assert!(tenant.url_for(Auth0::TOKEN_PATH).ends_with("/oauth/token"));
/// ```
#[derive(Debug)]
pub struct Auth0 {
    clock: FakeClock,
    issuer: Issuer,
    has_grant_type: AtomicBool,
}

starts!(Auth0);

impl Auth0 {
    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/oauth/token";

    /// The client id of the application.
    pub const CLIENT_ID: &str = "fakeAuth0ClientId000000000000001";

    /// The client secret of the application.
    pub const CLIENT_SECRET: &str = "fake-auth0-secret";

    /// The audience of the API that the application may use.
    pub const AUDIENCE: &str = "https://api.example.com/";

    /// The audience of an API for which the application has no client grant.
    pub const OTHER_AUDIENCE: &str = "https://other.example.com/";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(86400);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("auth0", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            issuer,
            has_grant_type: AtomicBool::new(true),
        }
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Removes the grant type `client_credentials` from the application.
    pub fn forbid_grant_type(&self) {
        self.has_grant_type.store(false, Ordering::Relaxed);
    }
}

impl Platform for Auth0 {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let form = TokenRequest::read(request, Self::TOKEN_PATH).map_err(|reason| {
            Refusal::new(reason, ScriptedResponse::text("Not Found").with_status(404))
        })?;
        if !form.has("grant_type", "client_credentials") {
            let text = "Unsupported grant type";
            return Err(refused(403, "unsupported_grant_type", text));
        }
        let (id, secret) = form.client().unwrap_or_default();
        if (id.as_str(), secret.as_str()) != (Self::CLIENT_ID, Self::CLIENT_SECRET) {
            return Err(refused(401, "access_denied", "Unauthorized"));
        }
        if !self.has_grant_type.load(Ordering::Relaxed) {
            let text = "Grant type 'client_credentials' not allowed for the client.";
            return Err(refused(403, "unauthorized_client", text));
        }
        match form.value("audience").as_deref() {
            Some(Self::AUDIENCE) => {}
            Some(Self::OTHER_AUDIENCE) => {
                let text = format!(
                    "Client is not authorized to access \"{}\". You need to create a \"client-grant\" associated to this API.",
                    Self::OTHER_AUDIENCE
                );
                return Err(refused(403, "access_denied", &text));
            }
            Some(other) => {
                let text = format!("Service not found: {other}");
                return Err(refused(403, "access_denied", &text));
            }
            None => {
                let text = "Non-global clients are not allowed access to APIv1";
                return Err(refused(403, "access_denied", text));
            }
        }
        let members = json!({"token_type": "Bearer", "scope": "read:things"});
        Ok(granted(&self.issuer, members))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let reset = self
            .clock
            .unix_seconds()
            .saturating_add_unsigned(retry_after);
        error(429, "too_many_requests", "Global limit has been reached")
            .header("x-ratelimit-limit", "100")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &reset.to_string())
            .header("retry-after", &retry_after.to_string())
    }
}

fn refused(status: u16, code: &str, description: &str) -> Refusal {
    Refusal::new(description, error(status, code, description))
}
