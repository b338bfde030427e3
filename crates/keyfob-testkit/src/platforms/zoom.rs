//! Zoom's token endpoint, for Server-to-Server OAuth apps.
//!
//! An app posts `grant_type=account_credentials` and the id of its account to `/oauth/token`, with its client id and secret in
//! `Authorization: Basic`. The parameters belong in the body. The token lives one hour and there is no refresh token; the response
//! has the scopes of the app and `api_url`. Errors are `{"reason": …, "error": …}` with the status 400.

use std::time::Duration;

use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, granted};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Zoom's token endpoint for one Server-to-Server OAuth app.
///
/// ```
/// use keyfob_testkit::platforms::Zoom;
///
/// let zoom = Zoom::start();
/// assert!(zoom.url_for(Zoom::TOKEN_PATH).ends_with("/oauth/token"));
/// ```
#[derive(Debug)]
pub struct Zoom {
    issuer: Issuer,
}

starts!(Zoom);

impl Zoom {
    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/oauth/token";

    /// The id of the account.
    pub const ACCOUNT: &str = "fakeAccountId123";

    /// The client id of the app.
    pub const CLIENT_ID: &str = "fakeZoomClient";

    /// The client secret of the app.
    pub const CLIENT_SECRET: &str = "fake-zoom-secret";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("zoom", Self::TOKEN_LIFETIME);
        Self { issuer }
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

impl Platform for Zoom {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let form = TokenRequest::read(request, Self::TOKEN_PATH)
            .map_err(|reason| refused(&reason, "Bad Request", "invalid_request"))?;
        if !form.has("grant_type", "account_credentials") {
            let reason = "the grant type is another one";
            return Err(refused(
                reason,
                "unsupported grant type",
                "unsupported_grant_type",
            ));
        }
        let (id, secret) = form.basic().unwrap_or_default();
        if (id.as_str(), secret.as_str()) != (Self::CLIENT_ID, Self::CLIENT_SECRET) {
            return Err(refused(
                "the client or its secret is wrong",
                "Invalid client_id or client_secret",
                "invalid_client",
            ));
        }
        if !form.has("account_id", Self::ACCOUNT) {
            let reason = "the account is wrong";
            return Err(refused(reason, "Bad Request", "invalid_request"));
        }
        let members = json!({
            "token_type": "bearer",
            "scope": "user:read:admin meeting:read:admin",
            "api_url": "https://api.zoom.us",
        });
        Ok(granted(&self.issuer, members))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let message =
            "You have reached the maximum per-second rate limit for this API. Try again later.";
        ScriptedResponse::json(json!({"code": 429, "message": message}))
            .with_status(429)
            .header("retry-after", &retry_after.to_string())
    }
}

fn refused(reason: &str, shown: &str, code: &str) -> Refusal {
    let body = json!({"reason": shown, "error": code});
    Refusal::new(reason, ScriptedResponse::json(body).with_status(400))
}
