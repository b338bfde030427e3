//! Azure's managed identities: the metadata service of virtual machines, and the token service of App Service.
//!
//! Both are `GET` requests with `api-version` and `resource`, and `client_id` for an identity that the user assigned. On a virtual
//! machine the path is `/metadata/identity/oauth2/token` and the header is `Metadata: true`. On App Service the URL is in
//! `IDENTITY_ENDPOINT`, and `X-IDENTITY-HEADER` has the value of `IDENTITY_HEADER`. The metadata service refuses requests with
//! `X-Forwarded-For`.
//!
//! Numbers in responses are texts: `expires_on` has unix seconds. App Service sends no `expires_in`. Errors of the metadata service
//! have `error` and `error_description`: 400 for the request, 404 and 410 while it is updated, 429 and 5xx for a while. Those of
//! App Service have `statusCode` and `message`.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Fake, Platform};
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// The token service of a machine with a managed identity of its own, and one that the user assigned.
///
/// ```
/// use keyfob_testkit::platforms::AzureManagedIdentity;
///
/// let machine = AzureManagedIdentity::virtual_machine();
/// assert!(machine.url_for(AzureManagedIdentity::MACHINE_PATH).ends_with("/oauth2/token"));
/// let app = AzureManagedIdentity::app_service();
/// let variables = [
///     ("IDENTITY_ENDPOINT", app.url_for(AzureManagedIdentity::APP_SERVICE_PATH)),
///     ("IDENTITY_HEADER", AzureManagedIdentity::IDENTITY_HEADER.to_owned()),
/// ];
/// # let _ = variables;
/// ```
#[derive(Debug)]
pub struct AzureManagedIdentity {
    clock: FakeClock,
    issuer: Issuer,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    VirtualMachine,
    AppService,
}

impl AzureManagedIdentity {
    /// The path of the metadata service.
    pub const MACHINE_PATH: &str = "/metadata/identity/oauth2/token";

    /// The path of the token service of App Service.
    pub const APP_SERVICE_PATH: &str = "/MSI/token/";

    /// The value of `IDENTITY_HEADER`.
    pub const IDENTITY_HEADER: &str = "fake-identity-header";

    /// The client id of the identity that the user assigned.
    pub const ASSIGNED_CLIENT_ID: &str = "11111111-2222-3333-4444-555555555555";

    /// A resource that Azure knows. It knows others below `https://`, but not those that end in `.unknown.example`.
    pub const RESOURCE: &str = "https://management.azure.com/";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

    /// Starts the metadata service of a virtual machine with the clock of the system.
    #[must_use]
    pub fn virtual_machine() -> Fake<Self> {
        Self::virtual_machine_on(FakeClock::default())
    }

    /// Starts the metadata service of a virtual machine with this clock.
    #[must_use]
    pub fn virtual_machine_on(clock: impl Into<FakeClock>) -> Fake<Self> {
        Self::start(clock, Place::VirtualMachine)
    }

    /// Starts the token service of App Service with the clock of the system.
    #[must_use]
    pub fn app_service() -> Fake<Self> {
        Self::app_service_on(FakeClock::default())
    }

    /// Starts the token service of App Service with this clock.
    #[must_use]
    pub fn app_service_on(clock: impl Into<FakeClock>) -> Fake<Self> {
        Self::start(clock, Place::AppService)
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn start(clock: impl Into<FakeClock>, place: Place) -> Fake<Self> {
        Fake::start(clock, |clock| {
            let issuer = clock.issuer("azure-fake", Self::TOKEN_LIFETIME);
            Self {
                clock: clock.clone(),
                issuer,
                place,
            }
        })
    }

    fn check_machine(&self, request: &Received) -> Result<(), Refusal> {
        if request.header("metadata") != Some("true") {
            let description = "Required metadata header not specified";
            return Err(self.refused(400, "bad_request_102", description));
        }
        if request.header("x-forwarded-for").is_some() {
            let description = "Proxied requests are not allowed";
            return Err(self.refused(400, "bad_request_103", description));
        }
        let version = request.query_value("api-version").unwrap_or_default();
        if version.as_str() < "2018-02-01" {
            let description = "The api-version is missing or not supported";
            return Err(self.refused(400, "invalid_request", description));
        }
        Ok(())
    }

    fn check_app_service(&self, request: &Received) -> Result<(), Refusal> {
        if request.header("x-identity-header") != Some(Self::IDENTITY_HEADER) {
            return Err(self.refused(401, "unauthorized", "X-IDENTITY-HEADER is missing or wrong"));
        }
        if request.query_value("api-version").as_deref() != Some("2019-08-01") {
            return Err(self.refused(400, "invalid_request", "The api-version is not supported"));
        }
        Ok(())
    }

    fn token(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let resource = request.query_value("resource").unwrap_or_default();
        if resource.is_empty() {
            let description = "The resource is missing";
            return Err(self.refused(400, "invalid_request", description));
        }
        if resource.trim_end_matches('/').ends_with(".unknown.example") {
            let description = "AADSTS500011: The resource principal was not found in the tenant.";
            return Err(self.refused(400, "invalid_resource", description));
        }
        let client_id = request.query_value("client_id");
        if client_id
            .as_deref()
            .is_some_and(|id| id != Self::ASSIGNED_CLIENT_ID)
        {
            return Err(self.refused(400, "invalid_request", "Identity not found"));
        }
        let now = self.clock.unix_seconds();
        let lifetime = Self::TOKEN_LIFETIME.as_secs();
        let mut response = json!({
            "access_token": self.issuer.issue().token,
            "client_id": client_id.unwrap_or_else(|| SYSTEM_CLIENT_ID.to_owned()),
            "expires_on": now.saturating_add_unsigned(lifetime).to_string(),
            "not_before": (now - 300).to_string(),
            "resource": resource,
            "token_type": "Bearer",
        });
        if self.place == Place::VirtualMachine {
            response["expires_in"] = (lifetime - 1).to_string().into();
            response["ext_expires_in"] = (lifetime - 1).to_string().into();
        }
        Ok(ScriptedResponse::json(response))
    }

    fn refused(&self, status: u16, code: &str, description: &str) -> Refusal {
        let body = match self.place {
            Place::VirtualMachine => json!({"error": code, "error_description": description}),
            Place::AppService => json!({
                "statusCode": status,
                "message": description,
                "correlationId": "00000000-0000-0000-0000-000000000000",
            }),
        };
        Refusal::new(
            description,
            ScriptedResponse::json(body).with_status(status),
        )
    }
}

impl Platform for AzureManagedIdentity {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let path = match self.place {
            Place::VirtualMachine => Self::MACHINE_PATH,
            Place::AppService => Self::APP_SERVICE_PATH,
        };
        if !request.is_to(&Method::GET, path) {
            let reason = format!("{} {} is no endpoint", request.method, request.path);
            return Err(Refusal::new(reason, ScriptedResponse::status(404)));
        }
        match self.place {
            Place::VirtualMachine => self.check_machine(request)?,
            Place::AppService => self.check_app_service(request)?,
        }
        self.token(request)
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        let refused = self.refused(429, "too_many_requests", "Too many requests");
        refused
            .response
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        let description = "Failed to retrieve token from the Active directory";
        *self.refused(500, "unknown", description).response
    }
}

const SYSTEM_CLIENT_ID: &str = "99999999-8888-7777-6666-555555555555";
