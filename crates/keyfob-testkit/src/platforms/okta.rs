//! The token endpoint of an Okta org, for API service apps.
//!
//! An app posts `grant_type=client_credentials`, scopes, and a JWT that its own key signs to `/oauth2/v1/token`. The JWT names the
//! app in `iss` and `sub`, exactly the URL of the token endpoint in `aud`, the key in `kid`, and expires within one hour. The token
//! lives one hour. A new app has to bind its tokens to a key (DPoP).
//!
//! OAuth errors are `{"error", "error_description"}`. Other errors, such as throttling, are
//! `{"errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"}`; a throttled response says in `X-Rate-Limit-Reset` at which
//! second since 1970 the limit ends, and has no `Retry-After`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, api, error, granted};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// An Okta org with one API service app. Each `GET` is its API, which takes the tokens.
///
/// ```
/// use keyfob_testkit::platforms::Okta;
///
/// let org = Okta::start();
/// org.require_dpop();
/// ```
#[derive(Debug)]
pub struct Okta {
    clock: FakeClock,
    key: PlatformKey,
    issuer: Issuer,
    requires_dpop: AtomicBool,
}

starts!(Okta);

impl Okta {
    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/oauth2/v1/token";

    /// The client id of the app.
    pub const CLIENT_ID: &str = "0oafakeOktaClient1d7";

    /// The scopes that are granted to the app.
    pub const SCOPES: [&str; 2] = ["okta.users.read", "okta.groups.read"];

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("okta", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("okta-key-1"),
            issuer,
            requires_dpop: AtomicBool::new(false),
        }
    }

    /// The key of the app.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Refuses requests without a proof, as for a new app.
    pub fn require_dpop(&self) {
        self.requires_dpop.store(true, Ordering::Relaxed);
    }

    fn check_assertion(&self, form: &TokenRequest<'_>, endpoint: &str) -> Result<(), Refusal> {
        let Some(assertion) = form.client_assertion() else {
            let text = "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.";
            return Err(refused(401, "invalid_client", text));
        };
        let jwt = ReadJwt::read(&assertion);
        let jwt = jwt.ok_or_else(|| {
            refused(
                401,
                "invalid_client",
                "The parsing of the client_assertion failed.",
            )
        })?;
        let rules = JwtRules::new(&[
            "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
        ])
        .key_id()
        .issuer(Self::CLIENT_ID)
        .subject(Self::CLIENT_ID)
        .audience(endpoint)
        .max_ahead(MAX_AHEAD);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| {
            let response = error(401, "invalid_client", description(&fault));
            Refusal::new(fault.to_string(), response)
        })
    }
}

impl Platform for Okta {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        if request.method == Method::GET {
            return api(&self.issuer, request);
        }
        let form = TokenRequest::read(request, Self::TOKEN_PATH).map_err(|reason| {
            let response = api_error(404, "E0000007", "Not found: Resource not found");
            Refusal::new(reason, response)
        })?;
        if !form.has("grant_type", "client_credentials") {
            let text = "The authorization grant type is not supported by the authorization server.";
            return Err(refused(400, "unsupported_grant_type", text));
        }
        let host = request.header("host").unwrap_or_default();
        self.check_assertion(&form, &format!("http://{host}{}", Self::TOKEN_PATH))?;
        if self.requires_dpop.load(Ordering::Relaxed) && request.header("dpop").is_none() {
            let text = "The DPoP proof JWT header is missing.";
            return Err(refused(400, "invalid_dpop_proof", text));
        }
        let scope = form.value("scope").unwrap_or_default();
        let mut scopes = scope.split_whitespace();
        if scope.is_empty() || !scopes.all(|scope| Self::SCOPES.contains(&scope)) {
            let text =
                "One or more scopes are not configured for the authorization server resource.";
            return Err(refused(400, "invalid_scope", text));
        }
        let token_type = match request.header("dpop") {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        let members = json!({"token_type": token_type, "scope": scope});
        Ok(granted(&self.issuer, members))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let reset = self
            .clock
            .unix_seconds()
            .saturating_add_unsigned(retry_after);
        let summary = "API call exceeded rate limit due to too many requests.";
        api_error(429, "E0000047", summary)
            .header("x-rate-limit-limit", "300")
            .header("x-rate-limit-remaining", "0")
            .header("x-rate-limit-reset", &reset.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        api_error(500, "E0000009", "Internal Server Error")
    }
}

fn description(fault: &JwtFault) -> &'static str {
    match fault {
        JwtFault::Algorithm(_) => "The client_assertion JWT alg is not supported.",
        JwtFault::KeyId => "The client_assertion JWT kid is invalid.",
        JwtFault::Expired { .. } => "The client_assertion token is expired.",
        JwtFault::ExpiresTooLate { .. } => {
            "The client_assertion token has an expiration too far into the future."
        }
        JwtFault::Claim("aud") => {
            "The audience claim for client_assertion must be the endpoint invoked for the request."
        }
        JwtFault::Claim(_) => {
            "The issuer and subject claim for client_assertion must be the client id."
        }
        JwtFault::IssuedInFuture { .. } | JwtFault::NotYetValid => {
            "The client_assertion token is not valid yet."
        }
        _ => "The client_assertion signature is invalid.",
    }
}

fn refused(status: u16, code: &str, description: &str) -> Refusal {
    Refusal::new(description, error(status, code, description))
}

/// An error in the form of Okta's APIs.
fn api_error(status: u16, code: &str, summary: &str) -> ScriptedResponse {
    let body = json!({
        "errorCode": code,
        "errorSummary": summary,
        "errorLink": code,
        "errorId": "oaefake",
        "errorCauses": [],
    });
    ScriptedResponse::json(body).with_status(status)
}

const MAX_AHEAD: Duration = Duration::from_secs(3600);
