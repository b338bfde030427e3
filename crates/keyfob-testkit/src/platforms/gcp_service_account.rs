//! Google's token endpoint for service accounts with a key file, and an API that accepts JWTs they signed themselves.
//!
//! A client posts a JWT (RFC 7523) to `/token`: RS256, the account in `iss`, the endpoint in `aud`, at most one hour from `iat` to
//! `exp`, and either `scope` or `target_audience`. With `target_audience` the response has an `id_token` and nothing else.
//!
//! Many Google APIs also accept a JWT that the account signed itself, without any call: `iss` and `sub` are the account, `kid` is
//! the id of the key, and `aud` is the API or `scope` has its scopes. The fake has such an API at `/api`.
//!
//! Errors are JSON with `error` and `error_description`, all with status 400; those of the API have an object in `error`.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::gcp_error::{api_error, oauth_error};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Google's token endpoint for one service account with a key file.
///
/// ```
/// use keyfob_testkit::platforms::GcpServiceAccount;
///
/// let google = GcpServiceAccount::start();
/// let key_file = google.key_file(&google.url_for("/token"));
/// assert!(key_file.contains(r#""type": "service_account""#));
/// ```
#[derive(Debug)]
pub struct GcpServiceAccount {
    clock: FakeClock,
    key: PlatformKey,
    google_key: PlatformKey,
    issuer: Issuer,
}

starts!(GcpServiceAccount);

impl GcpServiceAccount {
    /// The address of the service account.
    pub const ACCOUNT: &str = "robot@my-project.iam.gserviceaccount.com";

    /// The URL of the API that the fake has at `/api`, as `aud` of a self-signed JWT.
    pub const API_AUDIENCE: &str = "https://pubsub.googleapis.com/";

    /// How long access tokens and identity tokens live.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("ya29.fake", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("5f0c1d2e3b4a59687766554433221100aabbccdd"),
            google_key: PlatformKey::rsa("google-key"),
            issuer,
        }
    }

    /// The key file of the account, with this URL of the token endpoint.
    #[must_use]
    pub fn key_file(&self, token_uri: &str) -> String {
        let file = json!({
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": self.key.id(),
            "private_key": self.key.private_pem(),
            "client_email": Self::ACCOUNT,
            "client_id": "112233445566778899000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        });
        format!("{file:#}\n")
    }

    /// The key of the account.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The key that signs identity tokens.
    #[must_use]
    pub fn google_key(&self) -> &PlatformKey {
        &self.google_key
    }

    /// The issuer of access tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn token(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let invalid = |reason: &str| {
            let reason = reason.to_owned();
            oauth_error(
                400,
                "invalid_request",
                reason,
                "Required parameter is missing: assertion",
            )
        };
        request.needs_form().map_err(|reason| invalid(&reason))?;
        if request.form_value("grant_type").as_deref() != Some(JWT_BEARER) {
            let description = "Invalid grant_type";
            let reason = "the grant type is not jwt-bearer";
            return Err(oauth_error(
                400,
                "unsupported_grant_type",
                reason,
                description,
            ));
        }
        let assertion = request.form_value("assertion").unwrap_or_default();
        let Some(jwt) = ReadJwt::read(&assertion) else {
            return Err(invalid("the assertion is no JWT"));
        };
        let grant = |reason: String, description: &str| {
            oauth_error(400, "invalid_grant", reason, description)
        };
        if jwt.text("iss") != Some(Self::ACCOUNT) {
            let reason = format!("`iss` is {:?}", jwt.text("iss"));
            return Err(grant(reason, "Invalid grant: account not found"));
        }
        let rules = JwtRules::new(&["RS256"])
            .audience(Self::audience(request))
            .skew(SKEW)
            .max_lifetime(Self::TOKEN_LIFETIME);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| grant(fault.to_string(), description(&fault)))?;
        self.tokens_for(&jwt)
    }

    /// The endpoint is known by the name in the key file, which is that of the request here.
    fn audience(request: &Received) -> String {
        let host = request.header("host").unwrap_or_default();
        format!("http://{host}/token")
    }

    fn tokens_for(&self, jwt: &ReadJwt<'_>) -> Result<ScriptedResponse, Refusal> {
        if let Some(audience) = jwt.text("target_audience") {
            let now = self.clock.unix_seconds();
            let claims = json!({
                "iss": "https://accounts.google.com",
                "aud": audience,
                "azp": Self::ACCOUNT,
                "sub": "112233445566778899000",
                "email": Self::ACCOUNT,
                "email_verified": true,
                "iat": now,
                "exp": now + 3600,
            });
            let id_token = self.google_key.sign(&json!({}), &claims);
            return Ok(ScriptedResponse::json(json!({"id_token": id_token})));
        }
        if jwt.text("scope").is_none_or(str::is_empty) {
            let description = "Invalid OAuth scope or ID token audience provided.";
            let reason = "there is neither `scope` nor `target_audience`";
            return Err(oauth_error(400, "invalid_scope", reason, description));
        }
        Ok(ScriptedResponse::json(json!({
            "access_token": self.issuer.issue().token,
            "expires_in": Self::TOKEN_LIFETIME.as_secs() - 1,
            "token_type": "Bearer",
        })))
    }

    fn api(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let token = request.bearer().unwrap_or_default();
        if self.issuer.is_valid(token) {
            return Ok(ScriptedResponse::json(json!({})));
        }
        let refused = |reason: String| api_error(401, "UNAUTHENTICATED", reason);
        let jwt = ReadJwt::read(token).ok_or_else(|| refused("the token is unknown".to_owned()))?;
        let mut rules = JwtRules::new(&["RS256"])
            .key_id()
            .issuer(Self::ACCOUNT)
            .subject(Self::ACCOUNT)
            .skew(SKEW)
            .max_lifetime(Self::TOKEN_LIFETIME);
        // A JWT names the API by `aud`, or what it may do there by `scope`.
        if jwt.text("scope").is_none_or(str::is_empty) {
            rules = rules.audience(Self::API_AUDIENCE);
        }
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| refused(fault.to_string()))?;
        Ok(ScriptedResponse::json(json!({})))
    }
}

impl Platform for GcpServiceAccount {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/token") => self.token(request),
            (&Method::GET, "/api") => self.api(request),
            _ => Err(Refusal::new(
                format!("{} {} is no endpoint", request.method, request.path),
                ScriptedResponse::text("<!DOCTYPE html>").with_status(404),
            )),
        }
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let error = oauth_error(
            429,
            "rate_limit_exceeded",
            "throttled",
            "Rate Limit Exceeded",
        );
        error
            .response
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        *oauth_error(503, "internal_failure", "down", "Backend Error").response
    }
}

fn description(fault: &JwtFault) -> &'static str {
    match fault {
        JwtFault::Signature | JwtFault::Algorithm(_) | JwtFault::KeyId => "Invalid JWT Signature.",
        JwtFault::Claim(_) => "Invalid JWT: Failed audience check.",
        _ => {
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        }
    }
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Google tolerates some difference of clocks, and documents no number. A clock that is ten minutes off is refused.
const SKEW: Duration = Duration::from_secs(300);
