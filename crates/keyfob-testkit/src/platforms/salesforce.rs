//! Salesforce's token endpoint, for the JWT bearer flow.
//!
//! A connected app posts a JWT to `/services/oauth2/token`: RS256, the consumer key in `iss`, the user in `sub`, the login server
//! in `aud`, and `exp` at most three minutes away. The response has `access_token`, `instance_url`, `id`, `scope` and `token_type`,
//! and no `expires_in`: the token lives as long as a session of the org, two hours without use by default. Errors are
//! `invalid_grant`, `invalid_client_id` and `invalid_app_access` with the status 400.

use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, api, error};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A Salesforce org with one connected app and one user. Each `GET` is its API, which takes the tokens.
///
/// ```
/// use keyfob_testkit::platforms::Salesforce;
///
/// let org = Salesforce::start();
/// org.set_approval("user hasn't approved this consumer");
/// ```
#[derive(Debug)]
pub struct Salesforce {
    clock: FakeClock,
    key: PlatformKey,
    issuer: Issuer,
    denial: Mutex<Option<String>>,
}

starts!(Salesforce);

impl Salesforce {
    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/services/oauth2/token";

    /// The consumer key of the connected app.
    pub const CONSUMER_KEY: &str = "3MVG9fakeConsumerKey";

    /// The user.
    pub const USER: &str = "integration@example.com";

    /// The login server, which is the audience.
    pub const AUDIENCE: &str = "https://login.salesforce.com";

    /// The default session timeout of an org.
    pub const SESSION_TIMEOUT: Duration = Duration::from_secs(7200);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("00Dfake!salesforce", Self::SESSION_TIMEOUT);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("salesforce"),
            issuer,
            denial: Mutex::default(),
        }
    }

    /// The key whose certificate the connected app has.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Refuses the user with this description: `user hasn't approved this consumer` or `inactive user`, for example.
    pub fn set_approval(&self, denial: &str) {
        *lock(&self.denial) = Some(denial.to_owned());
    }

    fn check(&self, assertion: &str) -> Result<(), Refusal> {
        let invalid = |reason: &str| refused(reason, "invalid_grant", "invalid assertion");
        let jwt = ReadJwt::read(assertion).ok_or_else(|| invalid("it is no JWT"))?;
        if jwt.text("iss") != Some(Self::CONSUMER_KEY) {
            let text = "client identifier invalid";
            return Err(refused("`iss` is unknown", "invalid_client_id", text));
        }
        let rules = JwtRules::new(&["RS256"])
            .audience(Self::AUDIENCE)
            .audience("https://test.salesforce.com")
            .max_ahead(MAX_AHEAD);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| match fault {
            JwtFault::Claim("aud") => {
                refused(&fault.to_string(), "invalid_grant", "audience is invalid")
            }
            // The same words as for a code of another grant.
            JwtFault::Expired { .. } => refused(
                &fault.to_string(),
                "invalid_grant",
                "expired authorization code",
            ),
            _ => invalid(&fault.to_string()),
        })?;
        if jwt.text("sub") != Some(Self::USER) {
            let text = "user hasn't approved this consumer";
            return Err(refused("`sub` is unknown", "invalid_grant", text));
        }
        match &*lock(&self.denial) {
            Some(text) => Err(refused(text, "invalid_grant", text)),
            None => Ok(()),
        }
    }
}

impl Platform for Salesforce {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        if request.method == Method::GET {
            return api(&self.issuer, request);
        }
        let form = TokenRequest::read(request, Self::TOKEN_PATH)
            .map_err(|reason| refused(&reason, "invalid_request", "invalid request"))?;
        if !form.has("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer") {
            let text = "grant type not supported";
            return Err(refused(text, "unsupported_grant_type", text));
        }
        self.check(&form.value("assertion").unwrap_or_default())?;
        Ok(ScriptedResponse::json(json!({
            "access_token": self.issuer.issue().token,
            "scope": "api",
            "instance_url": "https://example.my.salesforce.com",
            "id": "https://login.salesforce.com/id/00Dfake/005fake",
            "token_type": "Bearer",
        })))
    }

    fn throttled(&self, _: u64) -> ScriptedResponse {
        // Without a time to wait: the limit is one of logins per hour.
        error(400, "invalid_grant", "login rate exceeded")
    }
}

fn refused(reason: &str, code: &str, description: &str) -> Refusal {
    Refusal::new(reason, error(400, code, description))
}

const MAX_AHEAD: Duration = Duration::from_secs(180);
