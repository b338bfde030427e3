//! The token endpoint of a Databricks workspace, for service principals (OAuth machine-to-machine).
//!
//! A service principal posts `grant_type=client_credentials` and `scope=all-apis` to `/oidc/v1/token` of the workspace, with its
//! client id and OAuth secret in `Authorization: Basic`. The token lives one hour. The metadata are at
//! `/oidc/.well-known/oauth-authorization-server`; their issuer is the workspace with `/oidc`.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, api, error, granted};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A Databricks workspace with one service principal. Each other `GET` is its API, which takes the tokens.
///
/// ```
/// use keyfob_testkit::platforms::Databricks;
///
/// let workspace = Databricks::start();
/// assert!(workspace.url_for(Databricks::TOKEN_PATH).ends_with("/oidc/v1/token"));
/// ```
#[derive(Debug)]
pub struct Databricks {
    issuer: Issuer,
}

starts!(Databricks);

impl Databricks {
    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/oidc/v1/token";

    /// The client id of the service principal.
    pub const CLIENT_ID: &str = "59ab7d84-0000-4000-8000-fake0databri";

    /// An OAuth secret of the service principal.
    pub const CLIENT_SECRET: &str = "dose-fake-databricks-secret";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("databricks", Self::TOKEN_LIFETIME);
        Self { issuer }
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }
}

impl Platform for Databricks {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        if request.is_to(&Method::GET, METADATA_PATH) {
            let host = request.header("host").unwrap_or_default();
            return Ok(ScriptedResponse::json(json!({
                "issuer": format!("http://{host}/oidc"),
                "token_endpoint": format!("http://{host}{}", Self::TOKEN_PATH),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token"],
            })));
        }
        if request.method == Method::GET {
            return api(&self.issuer, request);
        }
        let form = TokenRequest::read(request, Self::TOKEN_PATH).map_err(|reason| {
            let body = json!({"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"});
            Refusal::new(reason, ScriptedResponse::json(body).with_status(404))
        })?;
        let (id, secret) = form.client().unwrap_or_default();
        if (id.as_str(), secret.as_str()) != (Self::CLIENT_ID, Self::CLIENT_SECRET) {
            return Err(refused(
                401,
                "invalid_client",
                "Client authentication failed",
            ));
        }
        if !form.has("grant_type", "client_credentials") {
            let text = "Unsupported grant_type";
            return Err(refused(400, "unsupported_grant_type", text));
        }
        if !form.has("scope", "all-apis") {
            let text = "scope is missing or not supported";
            return Err(refused(400, "invalid_scope", text));
        }
        let members = json!({"token_type": "Bearer", "scope": "all-apis"});
        Ok(granted(&self.issuer, members))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let message = "Current request has to be retried later";
        ScriptedResponse::json(json!({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": message}))
            .with_status(429)
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        let message = "The service is currently unavailable";
        ScriptedResponse::json(json!({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message}))
            .with_status(503)
    }
}

fn refused(status: u16, code: &str, description: &str) -> Refusal {
    Refusal::new(description, error(status, code, description))
}

const METADATA_PATH: &str = "/oidc/.well-known/oauth-authorization-server";
