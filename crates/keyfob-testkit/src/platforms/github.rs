//! GitHub's REST API, as far as it issues installation tokens of a GitHub App.
//!
//! An app presents a JWT that it signed with its private key: RS256, its client id (or app id) in `iss`, `iat` not in the future,
//! and `exp` at most ten minutes away. It posts to `/app/installations/ID/access_tokens` and may ask for a part of its permissions
//! and repositories. The token lives one hour, and the response says until when in `expires_at`.
//!
//! The fake checks all that, and `User-Agent`, `Accept` and `X-GitHub-Api-Version`. Errors are JSON with `message` and
//! `documentation_url`: 401 for the JWT, 404 for an unknown app or installation, 403 for a suspended installation and for a
//! secondary limit (with `retry-after`), 422 for permissions that the installation does not have.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// GitHub's REST API for one GitHub App with one installation.
///
/// ```
/// use keyfob_testkit::platforms::GitHub;
///
/// let github = GitHub::start();
/// let key_file = github.private_key_pem();
/// assert!(key_file.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
/// assert_eq!(github.accepted(), 0);
/// ```
#[derive(Debug)]
pub struct GitHub {
    clock: FakeClock,
    key: PlatformKey,
    issuer: Issuer,
    suspended: AtomicBool,
}

starts!(GitHub);

impl GitHub {
    /// The client id of the app.
    pub const CLIENT_ID: &str = "Iv23liabcdefghijklmn";

    /// The app id, which older setups have in `iss`.
    pub const APP_ID: &str = "314159";

    /// The id of the app's installation.
    pub const INSTALLATION: &str = "12345678";

    /// How long an installation token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("ghs_fake", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("app-key"),
            issuer,
            suspended: AtomicBool::new(false),
        }
    }

    /// The private key of the app, in the form of the file that GitHub hands out.
    #[must_use]
    pub fn private_key_pem(&self) -> String {
        self.key.private_pkcs1_pem()
    }

    /// The key of the app.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The issuer of installation tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Suspends the installation, or ends that.
    pub fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Relaxed);
    }

    fn check_head(request: &Received) -> Result<(), Refusal> {
        if request.header("user-agent").is_none_or(str::is_empty) {
            let text = "Please make sure your request has a User-Agent header";
            let response = ScriptedResponse::text(text).with_status(403);
            return Err(Refusal::new("there is no User-Agent", response));
        }
        let accept = request.header("accept").unwrap_or("*/*");
        let accepts = ["application/vnd.github+json", "application/json", "*/*"];
        if !accepts.iter().any(|accepted| accept.contains(accepted)) {
            let reason = format!("Accept is {accept}");
            return Err(refused(
                415,
                &reason,
                "Unsupported 'Accept' header: Must accept 'application/json'.",
            ));
        }
        let version = request.header("x-github-api-version");
        if version.is_some_and(|version| !API_VERSIONS.contains(&version)) {
            let reason = format!("the API version is {version:?}");
            return Err(refused(
                400,
                &reason,
                "The requested API version is invalid",
            ));
        }
        Ok(())
    }

    fn check_app(&self, request: &Received) -> Result<(), Refusal> {
        let Some(jwt) = request.bearer() else {
            return Err(refused(
                401,
                "there is no bearer token",
                "Requires authentication",
            ));
        };
        let undecodable = || refused(401, "it is no JWT", "A JSON web token could not be decoded");
        let jwt = ReadJwt::read(jwt).ok_or_else(undecodable)?;
        let rules = JwtRules::new(&["RS256"]).max_ahead(MAX_AHEAD);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| refused(401, &fault.to_string(), message(&fault)))?;
        let issuer = jwt.claims.get("iss");
        let known = [
            json!(Self::CLIENT_ID),
            json!(Self::APP_ID),
            json!(APP_NUMBER),
        ];
        match issuer {
            None => {
                let message = "Missing 'issuer' claim ('iss') in assertion";
                Err(refused(401, "there is no `iss`", message))
            }
            Some(issuer) if known.contains(issuer) => Ok(()),
            Some(issuer) => {
                let reason = format!("`iss` is {issuer}");
                Err(refused(404, &reason, "Integration not found"))
            }
        }
    }

    fn check_wishes(request: &Received) -> Result<Value, Refusal> {
        let granted = json!({"contents": "read", "metadata": "read"});
        if request.body.is_empty() {
            return Ok(granted);
        }
        let Some(Value::Object(wishes)) = request.json() else {
            return Err(refused(
                400,
                "the body is no JSON object",
                "Problems parsing JSON",
            ));
        };
        let unknown = |repository: &Value| repository != REPOSITORY;
        let repositories = wishes.get("repositories").and_then(Value::as_array);
        if repositories.is_some_and(|list| list.iter().any(unknown)) {
            let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
            return Err(refused(422, "a repository is unknown", message));
        }
        let Some(Value::Object(permissions)) = wishes.get("permissions") else {
            return Ok(granted);
        };
        if permissions
            .iter()
            .any(|(name, value)| granted.get(name) != Some(value))
        {
            let message = "The permissions requested are not granted to this installation.";
            return Err(refused(422, "a permission is not granted", message));
        }
        Ok(Value::Object(permissions.clone()))
    }
}

impl Platform for GitHub {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        Self::check_head(request)?;
        let installation = request
            .path
            .strip_prefix("/app/installations/")
            .and_then(|rest| rest.strip_suffix("/access_tokens"));
        let (Some(installation), &Method::POST) = (installation, &request.method) else {
            let reason = format!("{} {} is no endpoint", request.method, request.path);
            return Err(refused(404, &reason, "Not Found"));
        };
        self.check_app(request)?;
        if installation != Self::INSTALLATION {
            return Err(refused(404, "the installation is unknown", "Not Found"));
        }
        if self.suspended.load(Ordering::Relaxed) {
            let message = "This installation has been suspended";
            return Err(refused(403, "the installation is suspended", message));
        }
        let permissions = Self::check_wishes(request)?;
        let response = json!({
            "token": self.issuer.issue().token,
            "expires_at": self.clock.rfc3339_in(Self::TOKEN_LIFETIME),
            "permissions": permissions,
            "repository_selection": "selected",
        });
        Ok(ScriptedResponse::json(response).with_status(201))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        error(403, "You have exceeded a secondary rate limit.")
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        ScriptedResponse::text("<html><body>Unicorn!</body></html>").with_status(503)
    }
}

fn message(fault: &JwtFault) -> &'static str {
    match fault {
        JwtFault::NotAnInteger("iat") | JwtFault::IssuedInFuture { .. } => {
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        }
        JwtFault::NotAnInteger(_) | JwtFault::Expired { .. } => {
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
        }
        JwtFault::ExpiresTooLate { .. } => {
            "'Expiration time' claim ('exp') is too far in the future"
        }
        _ => "A JSON web token could not be decoded",
    }
}

fn refused(status: u16, reason: &str, message: &str) -> Refusal {
    Refusal::new(reason, error(status, message))
}

fn error(status: u16, message: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    }))
    .with_status(status)
}

const APP_NUMBER: u64 = 314_159;
const REPOSITORY: &str = "widgets";
const MAX_AHEAD: Duration = Duration::from_secs(600);
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
