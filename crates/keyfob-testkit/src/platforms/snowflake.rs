//! Snowflake's REST and SQL APIs, as far as they check a key pair's JWT.
//!
//! The client signs the JWT itself: RS256, `ACCOUNT.USER.SHA256:FINGERPRINT` in `iss` and `ACCOUNT.USER` in `sub`, both in upper case.
//! The fingerprint is that of the public key, in base64. A JWT is valid for one hour after `iat`, whatever `exp` says. The header
//! `X-Snowflake-Authorization-Token-Type` may be left out; otherwise it is `KEYPAIR_JWT`. A `User-Agent` is required.
//!
//! A wrong JWT is `{"code": "390144", "message": "JWT token is invalid. […]"}` with the status 401, whatever is wrong with it.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Snowflake's APIs for one account with one user.
///
/// ```
/// use keyfob_testkit::platforms::Snowflake;
///
/// let snowflake = Snowflake::start();
/// assert_eq!(snowflake.key().private_pem().lines().next(), Some("-----BEGIN PRIVATE KEY-----"));
/// ```
#[derive(Debug)]
pub struct Snowflake {
    clock: FakeClock,
    key: PlatformKey,
}

starts!(Snowflake);

impl Snowflake {
    /// The account identifier, as its URL has it.
    pub const ACCOUNT: &str = "myorg-account1";

    /// The user.
    pub const USER: &str = "etl_user";

    /// How long a JWT is valid at most.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("snowflake"),
        }
    }

    /// The key whose public half the user has.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The fingerprint of the public half of a key, as `DESCRIBE USER` shows it.
    #[must_use]
    pub fn fingerprint(key: &PlatformKey) -> String {
        let hash = digest(&SHA256, &key.public_der());
        format!("SHA256:{}", STANDARD.encode(hash))
    }

    fn check_jwt(&self, request: &Received) -> Result<(), String> {
        let kind = request.header("x-snowflake-authorization-token-type");
        if let Some(kind) = kind.filter(|kind| *kind != "KEYPAIR_JWT") {
            return Err(format!("the token type is {kind}"));
        }
        let jwt = request.bearer().and_then(ReadJwt::read);
        let jwt = jwt.ok_or("there is no JWT")?;
        let name = format!("{}.{}", Self::ACCOUNT, Self::USER).to_uppercase();
        let fingerprint = Self::fingerprint(&self.key);
        let rules = JwtRules::new(&["RS256"])
            .issuer(format!("{name}.{fingerprint}"))
            .subject(name)
            .skew(SKEW);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| fault.to_string())?;
        let issued = jwt.claims.get("iat").and_then(Value::as_i64).unwrap_or(0);
        let age = self.clock.unix_seconds().saturating_sub(issued);
        match u64::try_from(age).is_ok_and(|age| age > Self::MAX_LIFETIME.as_secs()) {
            true => Err("the JWT is older than one hour".to_owned()),
            false => Ok(()),
        }
    }
}

impl Platform for Snowflake {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        if request.header("user-agent").is_none_or(str::is_empty) {
            let text = "User-Agent header is missing";
            return Err(refused(400, "391903", text, text));
        }
        self.check_jwt(request).map_err(|reason| {
            let text = "JWT token is invalid. [0ce9eb56-821d-4ca9-a774-04ae89a0cf5a]";
            refused(401, "390144", text, &reason)
        })?;
        match request.path.starts_with("/api/v2/") {
            true => Ok(ScriptedResponse::json(
                json!({"code": "090001", "message": "Statement executed successfully."}),
            )),
            false => Err(refused(404, "390404", "Not found", "there is no such API")),
        }
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let refusal = refused(429, "390505", "Too many requests.", "");
        refusal
            .response
            .header("retry-after", &retry_after.to_string())
    }
}

fn refused(status: u16, code: &str, message: &str, reason: &str) -> Refusal {
    let body = json!({"code": code, "message": message});
    Refusal::new(reason, ScriptedResponse::json(body).with_status(status))
}

/// What such servers tolerate between clocks.
const SKEW: Duration = Duration::from_secs(60);
