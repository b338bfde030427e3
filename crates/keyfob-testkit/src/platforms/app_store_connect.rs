//! Apple's App Store Connect API, as far as it checks a JWT.
//!
//! The client signs the JWT itself: ES256, the key id in `kid`, `appstoreconnect-v1` in `aud`, and at most 20 minutes from `iat` to
//! `exp`. With a team key `iss` is the issuer id; with an individual key there is no `iss`, and `sub` is `user`. The fake does not
//! check `scope`. Whatever is wrong, the response is 401 with the code `NOT_AUTHORIZED`.

use std::time::Duration;

use serde_json::json;

use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// The App Store Connect API for a team with one team key and one individual key.
///
/// ```
/// use keyfob_testkit::platforms::AppStoreConnect;
///
/// let api = AppStoreConnect::start();
/// assert_ne!(api.team_key().id(), api.individual_key().id());
/// ```
#[derive(Debug)]
pub struct AppStoreConnect {
    clock: FakeClock,
    team_key: PlatformKey,
    individual_key: PlatformKey,
}

starts!(AppStoreConnect);

impl AppStoreConnect {
    /// The issuer id of the team.
    pub const ISSUER: &str = "57246542-96fe-1a63-e053-0824d011072a";

    /// The audience of each JWT.
    pub const AUDIENCE: &str = "appstoreconnect-v1";

    /// How long a JWT is valid at most.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(20 * 60);

    fn new(clock: &FakeClock) -> Self {
        Self {
            clock: clock.clone(),
            team_key: PlatformKey::p256("2X9R4HXF34"),
            individual_key: PlatformKey::p256("7F3K2PQ9LM"),
        }
    }

    /// The key of the team.
    #[must_use]
    pub fn team_key(&self) -> &PlatformKey {
        &self.team_key
    }

    /// The key of one person.
    #[must_use]
    pub fn individual_key(&self) -> &PlatformKey {
        &self.individual_key
    }

    fn check(&self, request: &Received) -> Result<(), String> {
        let jwt = request.bearer().and_then(ReadJwt::read);
        let jwt = jwt.ok_or("there is no JWT")?;
        let rules = JwtRules::new(&["ES256"])
            .key_id()
            .audience(Self::AUDIENCE)
            .max_lifetime(Self::MAX_LIFETIME);
        let is_individual = jwt.head_text("kid") == Some(self.individual_key.id());
        let (rules, key) = match is_individual {
            true => (rules.subject("user"), &self.individual_key),
            false => (rules.issuer(Self::ISSUER), &self.team_key),
        };
        if is_individual && jwt.claims.contains_key("iss") {
            return Err("an individual key has no `iss`".to_owned());
        }
        let checked = rules.check(&jwt, key, &self.clock);
        checked.map_err(|fault| fault.to_string())
    }
}

impl Platform for AppStoreConnect {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        self.check(request).map_err(|reason| {
            let title = "Authentication credentials are missing or invalid.";
            let detail = "Provide a properly configured and signed bearer token, and make sure that it has not expired. Learn more about Generating Tokens for API Requests https://developer.apple.com/go/?id=api-generating-tokens";
            Refusal::new(reason, error(401, "NOT_AUTHORIZED", title, detail))
        })?;
        Ok(ScriptedResponse::json(json!({"data": []}))
            .header("x-rate-limit", "user-hour-lim:3600;user-hour-rem:3599;"))
    }

    fn throttled(&self, _: u64) -> ScriptedResponse {
        let title = "The request rate limit has been reached.";
        let detail = "We've received too many requests for this API. Please wait and try again or slow down your request rate.";
        error(429, "RATE_LIMIT_EXCEEDED", title, detail)
            .header("x-rate-limit", "user-hour-lim:3600;user-hour-rem:0;")
    }
}

fn error(status: u16, code: &str, title: &str, detail: &str) -> ScriptedResponse {
    let error =
        json!({"status": status.to_string(), "code": code, "title": title, "detail": detail});
    ScriptedResponse::json(json!({"errors": [error]})).with_status(status)
}
