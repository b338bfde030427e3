//! Google's workload identity federation: the Security Token Service, and impersonation by the IAM credentials API.
//!
//! A client posts a token exchange (RFC 8693) to `/v1/token`: the JWT of another issuer as the subject token, the full name of the
//! workload identity provider as the audience, a scope, and no client id. The response is a federated access token. With it the
//! client may call `/v1/projects/-/serviceAccounts/ACCOUNT:generateAccessToken` (JSON with `scope` and `lifetime`) or
//! `:generateIdToken` (JSON with `audience`).
//!
//! The fake trusts the issuers that the test names with [`trust`](GcpWorkloadIdentity::trust). The subject token has to be valid,
//! must not live longer than 24 hours, and needs the provider's audience. Errors of the first endpoint have `error` and
//! `error_description`; those of the second an object with `code`, `message` and `status`.

use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::gcp_error::{api_error, oauth_error};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Google's Security Token Service with one workload identity provider, and one service account to impersonate.
///
/// ```
/// use keyfob_testkit::platforms::{GcpWorkloadIdentity, GitHubActions};
///
/// let actions = GitHubActions::start();
/// let google = GcpWorkloadIdentity::start();
/// google.trust(GitHubActions::ISSUER, actions.key());
/// ```
#[derive(Debug)]
pub struct GcpWorkloadIdentity {
    clock: FakeClock,
    trusted: Mutex<Vec<(String, PlatformKey)>>,
    federated: Issuer,
    impersonated: Issuer,
    google_key: PlatformKey,
}

starts!(GcpWorkloadIdentity);

impl GcpWorkloadIdentity {
    /// The full name of the workload identity provider, which is the audience of the exchange.
    pub const PROVIDER: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/providers/github";

    /// The service account that can be impersonated.
    pub const ACCOUNT: &str = "robot@my-project.iam.gserviceaccount.com";

    /// How long federated and impersonated tokens live.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = |prefix| clock.issuer(prefix, Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            trusted: Mutex::default(),
            federated: issuer("ya29.federated"),
            impersonated: issuer("ya29.impersonated"),
            google_key: PlatformKey::rsa("google-key"),
        }
    }

    /// Trusts the tokens of this issuer that this key signed.
    pub fn trust(&self, issuer: &str, key: &PlatformKey) {
        lock(&self.trusted).push((issuer.to_owned(), key.clone()));
    }

    /// The issuer of federated access tokens.
    #[must_use]
    pub fn federated(&self) -> &Issuer {
        &self.federated
    }

    /// The issuer of the service account's access tokens.
    #[must_use]
    pub fn impersonated(&self) -> &Issuer {
        &self.impersonated
    }

    /// The key that signs the service account's identity tokens.
    #[must_use]
    pub fn google_key(&self) -> &PlatformKey {
        &self.google_key
    }

    fn exchange(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let invalid = |reason: String| {
            let description = format!("Invalid request: {reason}");
            oauth_error(400, "invalid_request", reason, &description)
        };
        request.needs_form().map_err(invalid)?;
        if request.form_value("client_id").is_some() || request.header("authorization").is_some() {
            let reason = "a workload identity pool has no clients";
            return Err(oauth_error(401, "invalid_client", reason, reason));
        }
        for (name, wanted) in [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("requested_token_type", ACCESS_TOKEN),
        ] {
            if request.form_value(name).as_deref() != Some(wanted) {
                return Err(invalid(format!("`{name}` is not {wanted}")));
            }
        }
        let kind = request
            .needed_form_value("subject_token_type")
            .map_err(invalid)?;
        if !SUBJECT_TYPES.contains(&kind.as_str()) {
            return Err(invalid(format!("`subject_token_type` is {kind}")));
        }
        let audience = request.needed_form_value("audience").map_err(invalid)?;
        if !audience.starts_with("//iam.googleapis.com/projects/") {
            let description = "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider.";
            let reason = format!("`audience` is {audience}");
            return Err(oauth_error(400, "invalid_request", reason, description));
        }
        if audience != Self::PROVIDER {
            let description =
                "The target service indicated by the \"audience\" parameters is invalid.";
            let reason = format!("`audience` is {audience}");
            return Err(oauth_error(400, "invalid_target", reason, description));
        }
        request.needed_form_value("scope").map_err(invalid)?;
        self.check_subject(
            &request
                .needed_form_value("subject_token")
                .map_err(invalid)?,
        )?;
        Ok(ScriptedResponse::json(json!({
            "access_token": self.federated.issue().token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": Self::TOKEN_LIFETIME.as_secs() - 1,
        })))
    }

    fn check_subject(&self, token: &str) -> Result<(), Refusal> {
        let refused = |reason: String, description: &str| {
            oauth_error(400, "invalid_grant", reason, description)
        };
        let Some(jwt) = ReadJwt::read(token) else {
            let description = "Unable to parse the ID Token.";
            return Err(refused(
                "the subject token is no JWT".to_owned(),
                description,
            ));
        };
        let issuer = jwt.text("iss").unwrap_or_default();
        let trusted = lock(&self.trusted);
        let Some((_, key)) = trusted.iter().find(|(trusted, _)| trusted == issuer) else {
            let description = "The issuer in ID Token does not match the expected ones.";
            return Err(refused(format!("`iss` is {issuer}"), description));
        };
        let rules = JwtRules::new(&["RS256", "ES256"])
            .audience(Self::PROVIDER)
            .audience(format!("https:{}", Self::PROVIDER))
            .max_lifetime(MAX_SUBJECT_LIFETIME);
        rules.check(&jwt, key, &self.clock).map_err(|fault| {
            let description = match &fault {
                JwtFault::Claim(_) => {
                    "The audience in ID Token does not match the expected audience."
                }
                JwtFault::Expired { .. } => "ID Token is stale to sign-in.",
                JwtFault::IssuedInFuture { .. } | JwtFault::NotYetValid => {
                    "ID Token issued in the future."
                }
                JwtFault::Signature => "Invalid JWT signature.",
                _ => "The ID Token is invalid.",
            };
            refused(fault.to_string(), description)
        })
    }

    fn impersonate(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let Some(method) = request.path.strip_prefix(ACCOUNTS) else {
            return Err(api_error(404, "NOT_FOUND", "the path is unknown"));
        };
        if !self
            .federated
            .is_valid(request.bearer().unwrap_or_default())
        {
            return Err(api_error(
                401,
                "UNAUTHENTICATED",
                "the bearer token is unknown",
            ));
        }
        let invalid = |reason: String| api_error(400, "INVALID_ARGUMENT", reason);
        request
            .needs_content_type("application/json")
            .map_err(invalid)?;
        let Some(body) = request.json().filter(Value::is_object) else {
            return Err(invalid("the body is no JSON object".to_owned()));
        };
        let (account, method) = method.split_once(':').unwrap_or_default();
        if account.replace("%40", "@") != Self::ACCOUNT {
            let reason = format!("the account is {account}");
            return Err(api_error(403, "PERMISSION_DENIED", reason));
        }
        match method {
            "generateAccessToken" => self.access_token(&body),
            "generateIdToken" => self.id_token(&body),
            _ => Err(api_error(404, "NOT_FOUND", "the method is unknown")),
        }
    }

    fn access_token(&self, body: &Value) -> Result<ScriptedResponse, Refusal> {
        let invalid = |reason: &str| api_error(400, "INVALID_ARGUMENT", reason);
        let scopes = body["scope"].as_array();
        if scopes.is_none_or(|scopes| scopes.is_empty() || !scopes.iter().all(Value::is_string)) {
            return Err(invalid("`scope` is no list of texts"));
        }
        let lifetime = match &body["lifetime"] {
            Value::Null => Some(3600),
            value => value
                .as_str()
                .and_then(|text| text.strip_suffix('s')?.parse().ok()),
        };
        let Some(lifetime) = lifetime.filter(|seconds| (1..=3600).contains(seconds)) else {
            return Err(invalid("`lifetime` is not from 1s to 3600s"));
        };
        let lifetime = Duration::from_secs(lifetime);
        self.impersonated.set_lifetime(lifetime);
        Ok(ScriptedResponse::json(json!({
            "accessToken": self.impersonated.issue().token,
            "expireTime": self.clock.rfc3339_in(lifetime),
        })))
    }

    fn id_token(&self, body: &Value) -> Result<ScriptedResponse, Refusal> {
        let Some(audience) = body["audience"].as_str().filter(|text| !text.is_empty()) else {
            return Err(api_error(400, "INVALID_ARGUMENT", "there is no `audience`"));
        };
        let now = self.clock.unix_seconds();
        let mut claims = json!({
            "iss": "https://accounts.google.com",
            "aud": audience,
            "azp": "112233445566778899000",
            "sub": "112233445566778899000",
            "iat": now,
            "exp": now + 3600,
        });
        if body["includeEmail"] == true {
            claims["email"] = Self::ACCOUNT.into();
            claims["email_verified"] = true.into();
        }
        let token = self.google_key.sign(&json!({}), &claims);
        Ok(ScriptedResponse::json(json!({"token": token})))
    }
}

impl Platform for GcpWorkloadIdentity {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/v1/token") => self.exchange(request),
            (&Method::POST, _) => self.impersonate(request),
            _ => Err(api_error(404, "NOT_FOUND", "the method is not POST")),
        }
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let error = api_error(429, "RESOURCE_EXHAUSTED", "throttled");
        error
            .response
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        *api_error(503, "UNAVAILABLE", "down").response
    }
}

const ACCOUNTS: &str = "/v1/projects/-/serviceAccounts/";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TYPES: [&str; 2] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
];
const MAX_SUBJECT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
