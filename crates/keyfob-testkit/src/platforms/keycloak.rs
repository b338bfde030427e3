//! The token endpoint of a Keycloak realm, for clients with a service account.
//!
//! A client posts `grant_type=client_credentials` to `/realms/REALM/protocol/openid-connect/token`. It authenticates with its
//! secret (in `Authorization: Basic` or in the form), with a JWT that its own key signs, or with a JWT of an issuer that the realm
//! trusts, such as a Kubernetes cluster. The audience of each JWT is the realm's issuer, which the metadata name. With a JWT,
//! `client_id` may be left out. The token lives five minutes by default.
//!
//! Errors have the status 401 for `unauthorized_client` and an unknown client, and 400 for a JWT that is not accepted
//! (`invalid_client`) and for `invalid_scope`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, error, granted};
use crate::platforms::trusted_issuer::{Distrust, TrustedIssuers};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A Keycloak realm with one client.
///
/// ```
/// use keyfob_testkit::platforms::{Keycloak, Kubernetes};
///
/// let kubernetes = Kubernetes::start();
/// let keycloak = Keycloak::start();
/// keycloak.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
/// assert!(keycloak.url_for(Keycloak::REALM_PATH).ends_with("/realms/fake"));
/// ```
#[derive(Debug)]
pub struct Keycloak {
    clock: FakeClock,
    key: PlatformKey,
    trusted: TrustedIssuers,
    issuer: Issuer,
    has_service_account: AtomicBool,
}

starts!(Keycloak);

impl Keycloak {
    /// The path of the realm; with the host it is the issuer.
    pub const REALM_PATH: &str = "/realms/fake";

    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/realms/fake/protocol/openid-connect/token";

    /// The client id.
    pub const CLIENT_ID: &str = "orders";

    /// The client secret.
    pub const CLIENT_SECRET: &str = "fake-keycloak-secret";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("keycloak", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("keycloak-client"),
            trusted: TrustedIssuers::default(),
            issuer,
            has_service_account: AtomicBool::new(true),
        }
    }

    /// The key with which the client may sign.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Accepts JWTs of this issuer about this subject as the credential of the client.
    pub fn trust(&self, issuer: &str, subject: &str, key: &PlatformKey) {
        self.trusted.add(issuer, subject, key);
    }

    /// Turns off the client's service account.
    pub fn forbid_service_account(&self) {
        self.has_service_account.store(false, Ordering::Relaxed);
    }

    fn check_client(&self, form: &TokenRequest<'_>, realm: &str) -> Result<(), Refusal> {
        if let Some(assertion) = form.client_assertion() {
            return self.check_assertion(form, &assertion, realm);
        }
        let named = form.value("client_id");
        let (id, secret) = form
            .client()
            .or(named.map(|id| (id, String::new())))
            .unwrap_or_default();
        if id != Self::CLIENT_ID {
            return Err(refused(401, "invalid_client", NOT_AUTHENTICATED));
        }
        match secret == Self::CLIENT_SECRET {
            true => Ok(()),
            false => Err(refused(401, "unauthorized_client", NOT_AUTHENTICATED)),
        }
    }

    fn check_assertion(
        &self,
        form: &TokenRequest<'_>,
        assertion: &str,
        realm: &str,
    ) -> Result<(), Refusal> {
        let failed = |what: &str| {
            let text = format!("Client authentication with signed JWT failed: {what}");
            refused(400, "invalid_client", &text)
        };
        let jwt = ReadJwt::read(assertion).ok_or_else(|| failed("it is no JWT"))?;
        if form
            .value("client_id")
            .is_some_and(|id| id != Self::CLIENT_ID)
        {
            return Err(refused(401, "invalid_client", NOT_AUTHENTICATED));
        }
        if jwt
            .text("iss")
            .is_some_and(|issuer| self.trusted.knows(issuer))
        {
            let rules = JwtRules::new(&["RS256", "ES256"]).audience(realm);
            let checked = self.trusted.check(&jwt, &rules, &self.clock);
            return checked.map_err(|distrust| match distrust {
                Distrust::Issuer | Distrust::Subject => {
                    refused(401, "invalid_client", NOT_AUTHENTICATED)
                }
                Distrust::Fault(fault) => failed(&fault.to_string()),
            });
        }
        let rules = JwtRules::new(&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
            .issuer(Self::CLIENT_ID)
            .subject(Self::CLIENT_ID)
            .audience(realm);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| failed(&fault.to_string()))
    }
}

impl Platform for Keycloak {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let host = request.header("host").unwrap_or_default();
        let realm = format!("http://{host}{}", Self::REALM_PATH);
        // Clients look here first (RFC 8414 §3.1), and Keycloak has its metadata below the realm only.
        if request.path.starts_with("/.well-known/") {
            return Ok(ScriptedResponse::status(404));
        }
        if !request.path.starts_with(&format!("{}/", Self::REALM_PATH)) {
            let body = json!({"error": "Realm does not exist"});
            let response = ScriptedResponse::json(body).with_status(404);
            return Err(Refusal::new("the realm is unknown", response));
        }
        if request.is_to(&Method::GET, METADATA_PATH) {
            return Ok(ScriptedResponse::json(json!({
                "issuer": realm,
                "token_endpoint": format!("http://{host}{}", Self::TOKEN_PATH),
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
            })));
        }
        let form = TokenRequest::read(request, Self::TOKEN_PATH).map_err(|reason| {
            let body = json!({"error": "HTTP 404 Not Found"});
            Refusal::new(reason, ScriptedResponse::json(body).with_status(404))
        })?;
        self.check_client(&form, &realm)?;
        if !form.has("grant_type", "client_credentials") {
            let text = "Unsupported grant_type";
            return Err(refused(400, "unsupported_grant_type", text));
        }
        if !self.has_service_account.load(Ordering::Relaxed) {
            let text = "Client not enabled to retrieve service account";
            return Err(refused(401, "unauthorized_client", text));
        }
        let scope = form.value("scope").unwrap_or_default();
        let unknown = scope
            .split_whitespace()
            .find(|scope| !SCOPES.contains(scope));
        if let Some(unknown) = unknown {
            let text = format!("Invalid scopes: {unknown}");
            return Err(refused(400, "invalid_scope", &text));
        }
        let members = json!({
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "email profile",
        });
        Ok(granted(&self.issuer, members))
    }
}

fn refused(status: u16, code: &str, description: &str) -> Refusal {
    Refusal::new(description, error(status, code, description))
}

const METADATA_PATH: &str = "/realms/fake/.well-known/openid-configuration";
const NOT_AUTHENTICATED: &str = "Invalid client or Invalid client credentials";
const SCOPES: [&str; 3] = ["email", "profile", "openid"];
