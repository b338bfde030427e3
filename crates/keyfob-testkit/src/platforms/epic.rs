//! Epic's FHIR server and its token endpoint, for backend services.
//!
//! The FHIR server names the token endpoint at `.well-known/smart-configuration`. An app posts `grant_type=client_credentials` and a
//! JWT that its key signs: RS384 (or another RSA algorithm), the client id in `iss` and `sub`, the token endpoint in `aud`, a `jti`
//! of at most 151 characters that was not used before, and `exp` at most five minutes away. The token lives one hour. Every refusal
//! is `invalid_client` with the status 400 and no description.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::{TokenRequest, api, granted};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Epic's FHIR server with one backend app. Each other `GET` is its API, which takes the tokens.
///
/// ```
/// use keyfob_testkit::platforms::Epic;
///
/// let epic = Epic::start();
/// assert!(epic.url_for(Epic::FHIR_PATH).ends_with("/api/FHIR/R4"));
/// ```
#[derive(Debug)]
pub struct Epic {
    clock: FakeClock,
    key: PlatformKey,
    issuer: Issuer,
    used: Mutex<HashSet<String>>,
}

starts!(Epic);

impl Epic {
    /// The path of the FHIR server.
    pub const FHIR_PATH: &str = "/interconnect-fhir-oauth/api/FHIR/R4";

    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/interconnect-fhir-oauth/oauth2/token";

    /// The client id of the app.
    pub const CLIENT_ID: &str = "9bfake00-0000-4000-8000-00000000epic";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("epic", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("epic-key-1"),
            issuer,
            used: Mutex::default(),
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

    fn check(&self, form: &TokenRequest<'_>, endpoint: &str) -> Result<(), String> {
        if !form.has("grant_type", "client_credentials") {
            return Err("the grant type is another one".to_owned());
        }
        let assertion = form.client_assertion().unwrap_or_default();
        let jwt = ReadJwt::read(&assertion).ok_or("there is no client assertion")?;
        let rules = JwtRules::new(&["RS256", "RS384", "RS512"])
            .issuer(Self::CLIENT_ID)
            .subject(Self::CLIENT_ID)
            .audience(endpoint)
            .max_ahead(MAX_AHEAD);
        let checked = rules.check(&jwt, &self.key, &self.clock);
        checked.map_err(|fault| fault.to_string())?;
        let id = jwt.text("jti").unwrap_or_default();
        if id.is_empty() || id.len() > MAX_ID_LENGTH {
            return Err("`jti` is missing or too long".to_owned());
        }
        match lock(&self.used).insert(id.to_owned()) {
            true => Ok(()),
            false => Err("`jti` was used before".to_owned()),
        }
    }
}

impl Platform for Epic {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let host = request.header("host").unwrap_or_default();
        let endpoint = format!("http://{host}{}", Self::TOKEN_PATH);
        let metadata = format!("{}/.well-known/smart-configuration", Self::FHIR_PATH);
        if request.is_to(&Method::GET, &metadata) {
            return Ok(ScriptedResponse::json(json!({
                "token_endpoint": endpoint,
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS384"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "capabilities": ["client-confidential-asymmetric"],
            })));
        }
        if request.method == Method::GET {
            return api(&self.issuer, request);
        }
        let form = TokenRequest::read(request, Self::TOKEN_PATH).map_err(|reason| {
            Refusal::new(reason, ScriptedResponse::text("Not Found").with_status(404))
        })?;
        self.check(&form, &endpoint).map_err(|reason| {
            let body = json!({"error": "invalid_client", "error_description": null});
            Refusal::new(reason, ScriptedResponse::json(body).with_status(400))
        })?;
        let members = json!({"token_type": "Bearer", "scope": "system/Patient.read"});
        Ok(granted(&self.issuer, members))
    }
}

const MAX_AHEAD: Duration = Duration::from_secs(300);
const MAX_ID_LENGTH: usize = 151;
