//! HashiCorp Vault and OpenBao, as far as they issue tokens to machines: the auth methods `approle` and `kubernetes`.
//!
//! A client posts JSON to `/v1/auth/MOUNT/login` and gets `auth.client_token`, `auth.lease_duration` in seconds and
//! `auth.renewable`. It sends the token in `X-Vault-Token`. Before the lease ends, `POST /v1/auth/token/renew-self` makes the same
//! token valid for another lease, but not beyond the maximum lifetime since the login. Errors are `{"errors": [...]}`.
//!
//! What this fake responds was compared with OpenBao.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::Method;
use serde_json::{Value, json};

use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::trusted_issuer::TrustedIssuers;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A Vault server with one AppRole and one role for Kubernetes.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::platforms::Vault;
///
/// let vault = Vault::start();
/// vault.set_lifetimes(Duration::from_secs(600), Duration::from_secs(1500));
/// assert!(vault.url_for(Vault::SECRET_PATH).starts_with("http://127.0.0.1"));
/// ```
#[derive(Debug)]
pub struct Vault {
    clock: FakeClock,
    cluster: TrustedIssuers,
    settings: Mutex<Settings>,
    leases: Mutex<HashMap<String, Lease>>,
    issued: AtomicU64,
}

#[derive(Debug)]
struct Settings {
    lease: Duration,
    max: Duration,
    renewable: bool,
    namespace: Option<String>,
}

/// Until when a token is valid, and until when it can be renewed.
#[derive(Debug)]
struct Lease {
    ends: SystemTime,
    latest_end: SystemTime,
}

starts!(Vault);

impl Vault {
    /// The path at which the auth method `approle` logs in.
    pub const APPROLE_PATH: &str = "/v1/auth/approle/login";

    /// The path at which the auth method `kubernetes` logs in.
    pub const KUBERNETES_PATH: &str = "/v1/auth/kubernetes/login";

    /// The path at which a token is renewed.
    pub const RENEW_PATH: &str = "/v1/auth/token/renew-self";

    /// The path of a secret. Each token may read this and all others below `/v1/secret/`.
    pub const SECRET_PATH: &str = "/v1/secret/data/app";

    /// The role id of the AppRole.
    pub const ROLE_ID: &str = "675a50e7-cfe0-be76-e35f-49ec009731ea";

    /// The secret id of the AppRole.
    pub const SECRET_ID: &str = "fake-vault-secret-id";

    /// The role for Kubernetes.
    pub const ROLE: &str = "orders";

    /// The audience that the role for Kubernetes demands.
    pub const AUDIENCE: &str = "vault";

    fn new(clock: &FakeClock) -> Self {
        Self {
            clock: clock.clone(),
            cluster: TrustedIssuers::default(),
            settings: Mutex::new(Settings {
                lease: Duration::from_secs(3600),
                max: Duration::from_secs(4 * 3600),
                renewable: true,
                namespace: None,
            }),
            leases: Mutex::default(),
            issued: AtomicU64::new(0),
        }
    }

    /// Sets how long a token lives after a login or a renewal, and how long it can be renewed.
    pub fn set_lifetimes(&self, lease: Duration, max: Duration) {
        let mut settings = lock(&self.settings);
        (settings.lease, settings.max) = (lease, max);
    }

    /// Issues tokens that cannot be renewed, such as batch tokens.
    pub fn issue_batch_tokens(&self) {
        lock(&self.settings).renewable = false;
    }

    /// Demands this namespace in `X-Vault-Namespace`.
    pub fn set_namespace(&self, namespace: &str) {
        lock(&self.settings).namespace = Some(namespace.to_owned());
    }

    /// Accepts the tokens of this cluster about this service account for the role [`ROLE`](Self::ROLE).
    pub fn trust(&self, issuer: &str, service_account: &str, key: &PlatformKey) {
        self.cluster.add(issuer, service_account, key);
    }

    /// How many tokens were issued at a login.
    pub fn logins(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    fn log_in_approle(&self, body: &Value) -> Result<ScriptedResponse, Refusal> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let (role, secret) = (text("role_id"), text("secret_id"));
        if role.is_empty() {
            return Err(refused(500, "missing role_id"));
        }
        if secret.is_empty() {
            return Err(refused(400, "missing secret_id"));
        }
        match (role, secret) == (Self::ROLE_ID, Self::SECRET_ID) {
            true => Ok(self.issue()),
            false => Err(refused(400, "invalid role or secret ID")),
        }
    }

    fn log_in_kubernetes(&self, body: &Value) -> Result<ScriptedResponse, Refusal> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let (role, jwt) = (text("role"), text("jwt"));
        for (name, value) in [("role", role), ("jwt", jwt)] {
            if value.is_empty() {
                return Err(refused(400, &format!("missing {name}")));
            }
        }
        if role != Self::ROLE {
            return Err(refused(400, &format!("invalid role name \"{role}\"")));
        }
        let denied = |reason: &str| {
            let refusal = refused(403, "permission denied");
            let reason = reason.to_owned();
            Refusal { reason, ..refusal }
        };
        let jwt = ReadJwt::read(jwt).ok_or_else(|| denied("it is no JWT"))?;
        let rules = JwtRules::new(&["RS256", "ES256"]).audience(Self::AUDIENCE);
        match self.cluster.check(&jwt, &rules, &self.clock) {
            Ok(()) => Ok(self.issue()),
            Err(distrust) => Err(denied(&distrust.to_string())),
        }
    }

    fn issue(&self) -> ScriptedResponse {
        let number = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!("hvs.fake-{number}");
        let settings = lock(&self.settings);
        let now = self.clock.now();
        let lease = Lease {
            ends: now + settings.lease.min(settings.max),
            latest_end: now + settings.max,
        };
        let response = auth(&token, lease.ends, now, settings.renewable);
        lock(&self.leases).insert(token, lease);
        response
    }

    fn renew(&self, token: &str) -> Result<ScriptedResponse, Refusal> {
        let settings = lock(&self.settings);
        let now = self.clock.now();
        let mut leases = lock(&self.leases);
        let lease = leases.get_mut(token).filter(|lease| lease.ends > now);
        let lease = lease.ok_or_else(|| refused(403, "permission denied"))?;
        if !settings.renewable {
            return Err(refused(400, "lease is not renewable"));
        }
        lease.ends = (now + settings.lease).min(lease.latest_end);
        Ok(auth(token, lease.ends, now, true))
    }

    fn check_namespace(&self, request: &Received) -> Result<(), Refusal> {
        let wanted = lock(&self.settings).namespace.clone();
        let given = request.header("x-vault-namespace");
        match wanted.as_deref() == given.map(|name| name.trim_matches('/')) {
            true => Ok(()),
            false => Err(refused(404, "namespace not found")),
        }
    }
}

impl Platform for Vault {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        self.check_namespace(request)?;
        let token = request.header("x-vault-token").or(request.bearer());
        let body = || {
            let body = request.json().filter(Value::is_object);
            body.ok_or_else(|| refused(400, "error parsing JSON"))
        };
        match (&request.method, request.path.as_str()) {
            (&Method::POST | &Method::PUT, Self::APPROLE_PATH) => self.log_in_approle(&body()?),
            (&Method::POST | &Method::PUT, Self::KUBERNETES_PATH) => {
                self.log_in_kubernetes(&body()?)
            }
            (&Method::POST | &Method::PUT, Self::RENEW_PATH) => {
                self.renew(token.unwrap_or_default())
            }
            (&Method::GET, path) if path.starts_with("/v1/secret/") => {
                let leases = lock(&self.leases);
                let lease = token.and_then(|token| leases.get(token));
                if lease.is_none_or(|lease| lease.ends <= self.clock.now()) {
                    return Err(refused(403, "permission denied"));
                }
                Ok(ScriptedResponse::json(
                    json!({"data": {"data": {"a": "b"}}}),
                ))
            }
            _ => Err(refused(403, "permission denied")),
        }
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        errors(
            429,
            "request path \"auth/approle/login\": rate limit quota exceeded",
        )
        .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        errors(503, "Vault is sealed")
    }
}

fn auth(token: &str, ends: SystemTime, now: SystemTime, renewable: bool) -> ScriptedResponse {
    let lease = ends.duration_since(now).unwrap_or_default();
    ScriptedResponse::json(json!({
        "request_id": "da3189a9-a2c3-626d-e08d-b052762697d4",
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": null,
        "wrap_info": null,
        "warnings": null,
        "auth": {
            "client_token": token,
            "accessor": "4AzkDk9oukcA3SZjyRE5wvEa",
            "policies": ["default"],
            "token_policies": ["default"],
            "lease_duration": lease.as_secs(),
            "renewable": renewable,
            "token_type": if renewable { "service" } else { "batch" },
            "orphan": true,
            "num_uses": 0,
        },
    }))
}

fn refused(status: u16, message: &str) -> Refusal {
    Refusal::new(message, errors(status, message))
}

fn errors(status: u16, message: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"errors": [message]})).with_status(status)
}
