//! Microsoft Entra's token endpoint, for applications in their own name.
//!
//! A client posts to `/TENANT/oauth2/v2.0/token`: `client_credentials`, its client id, one scope that ends in `/.default`, and one of
//! three credentials:
//!
//! - a client secret, in the form or in `Authorization: Basic`;
//! - a JWT that the key of its certificate signed, as `client_assertion`: PS256 or RS256, the SHA-256 thumbprint of the certificate in
//!   `x5t#S256`, the client id in `iss` and `sub`, the URL of the token endpoint in `aud`;
//! - the JWT of another issuer, as `client_assertion`. The application has federated identity credentials, each with an issuer, a
//!   subject and an audience; the JWT has to match one of them exactly.
//!
//! A JWT has to be valid, with five minutes of tolerance between clocks.
//!
//! Errors are JSON with `error`, `error_description` (which begins with a code such as `AADSTS700024`), `error_codes`,
//! `timestamp`, `trace_id` and `correlation_id`.

use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::jwt::{JwtFault, JwtRules, ReadJwt};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::platforms::token_request::TokenRequest;
use crate::platforms::trusted_issuer::{Distrust, TrustedIssuers};
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// Microsoft Entra's token endpoint for one tenant with one application.
///
/// ```
/// use keyfob_testkit::platforms::{Entra, Kubernetes};
///
/// let kubernetes = Kubernetes::start();
/// let entra = Entra::start();
/// entra.trust(Kubernetes::ISSUER, Kubernetes::SUBJECT, kubernetes.key());
/// ```
#[derive(Debug)]
pub struct Entra {
    clock: FakeClock,
    issuer: Issuer,
    key: PlatformKey,
    /// The thumbprint of the registered certificate.
    certificate: Mutex<Option<String>>,
    trusted: TrustedIssuers,
}

/// An error of the endpoint, by its number.
struct Failure {
    status: u16,
    code: &'static str,
    number: u32,
    text: &'static str,
}

starts!(Entra);

impl Entra {
    /// The tenant.
    pub const TENANT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

    /// The client id of the application.
    pub const CLIENT_ID: &str = "12345678-90ab-cdef-1234-567890abcdef";

    /// A client secret of the application.
    pub const CLIENT_SECRET: &str = "fake~entra.secret";

    /// The audience that the JWTs of other issuers need.
    pub const ASSERTION_AUDIENCE: &str = "api://AzureADTokenExchange";

    /// The path of the token endpoint.
    pub const TOKEN_PATH: &str = "/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/oauth2/v2.0/token";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("entra-fake", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            issuer,
            key: PlatformKey::rsa("entra"),
            certificate: Mutex::default(),
            trusted: TrustedIssuers::default(),
        }
    }

    /// Adds a federated identity credential: JWTs of this issuer for this subject that this key signed.
    pub fn trust(&self, issuer: &str, subject: &str, key: &PlatformKey) {
        self.trusted.add(issuer, subject, key);
    }

    /// Registers the certificate of the application, in the form DER. Its key has to be [`key`](Self::key).
    pub fn register_certificate(&self, der: &[u8]) {
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, der));
        *lock(&self.certificate) = Some(thumbprint);
    }

    /// The key of the application's certificate.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// The issuer of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn check(&self, request: &Received) -> Result<(), (String, Failure)> {
        let form = |reason: String| (reason, MALFORMED);
        request.needs_form().map_err(form)?;
        let grant_type = request.needed_form_value("grant_type").map_err(form)?;
        if grant_type != "client_credentials" {
            return Err((format!("the grant type is {grant_type}"), UNSUPPORTED_GRANT));
        }
        let form_body = TokenRequest::read(request, Self::TOKEN_PATH).map_err(form)?;
        let basic = form_body.basic();
        let client_id = match &basic {
            Some((id, _)) => id.clone(),
            None => request.needed_form_value("client_id").map_err(form)?,
        };
        if client_id != Self::CLIENT_ID {
            return Err((format!("the client id is {client_id}"), UNKNOWN_CLIENT));
        }
        let scope = request.needed_form_value("scope").map_err(form)?;
        if scope.contains(' ') || !scope.ends_with("/.default") {
            return Err((format!("the scope is {scope}"), SCOPE));
        }
        if scope.ends_with(".unknown.example/.default") {
            return Err((format!("the scope is {scope}"), UNKNOWN_RESOURCE));
        }
        if let Some(assertion) = form_body.client_assertion() {
            return self.check_assertion(&assertion, request);
        }
        let secret = basic.map(|(_, secret)| secret);
        match secret
            .or_else(|| form_body.value("client_secret"))
            .as_deref()
        {
            Some(Self::CLIENT_SECRET) => Ok(()),
            Some(_) => Err(("the secret is wrong".to_owned(), WRONG_SECRET)),
            None => Err(("there is no credential".to_owned(), NO_CREDENTIAL)),
        }
    }

    fn check_assertion(
        &self,
        assertion: &str,
        request: &Received,
    ) -> Result<(), (String, Failure)> {
        let Some(jwt) = ReadJwt::read(assertion) else {
            return Err(("the assertion is no JWT".to_owned(), NOT_A_JWT));
        };
        if jwt.text("iss") == Some(Self::CLIENT_ID) {
            return self.check_own_assertion(&jwt, request);
        }
        let rules = JwtRules::new(&["RS256"])
            .audience(Self::ASSERTION_AUDIENCE)
            .skew(SKEW);
        let checked = self.trusted.check(&jwt, &rules, &self.clock);
        checked.map_err(|distrust| {
            let failure = match &distrust {
                Distrust::Issuer => ISSUER,
                Distrust::Subject => SUBJECT,
                Distrust::Fault(JwtFault::Claim(_)) => AUDIENCE,
                Distrust::Fault(fault) => failure_of(fault),
            };
            (distrust.to_string(), failure)
        })
    }

    /// Checks a JWT that the application signed itself.
    fn check_own_assertion(
        &self,
        jwt: &ReadJwt<'_>,
        request: &Received,
    ) -> Result<(), (String, Failure)> {
        let registered = lock(&self.certificate).clone();
        if registered.is_none() || jwt.head_text("x5t#S256") != registered.as_deref() {
            return Err(("the certificate is unknown".to_owned(), SIGNATURE));
        }
        let host = request.header("host").unwrap_or_default();
        let rules = JwtRules::new(&["PS256", "RS256"])
            .issuer(Self::CLIENT_ID)
            .subject(Self::CLIENT_ID)
            .audience(format!("http://{host}{}", Self::TOKEN_PATH))
            .skew(SKEW);
        let checked = rules.check(jwt, &self.key, &self.clock);
        checked.map_err(|fault| (fault.to_string(), failure_of(&fault)))
    }

    fn error(&self, failure: &Failure) -> ScriptedResponse {
        let time = self.clock.rfc3339_in(Duration::ZERO).replace('T', " ");
        let number = failure.number;
        let text = format!(
            "AADSTS{number}: {} Trace ID: {TRACE} Correlation ID: {TRACE} Timestamp: {time}",
            failure.text
        );
        ScriptedResponse::json(json!({
            "error": failure.code,
            "error_description": text,
            "error_codes": [number],
            "timestamp": time,
            "trace_id": TRACE,
            "correlation_id": TRACE,
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        }))
        .with_status(failure.status)
    }
}

impl Platform for Entra {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let checked = match request.path.strip_suffix("/oauth2/v2.0/token") {
            Some(tenant) if tenant[1..] != *Self::TENANT => {
                Err((format!("the tenant is {tenant}"), UNKNOWN_TENANT))
            }
            Some(_) if request.method == Method::POST => self.check(request),
            _ => {
                let reason = format!("{} {} is no endpoint", request.method, request.path);
                return Err(Refusal::new(reason, ScriptedResponse::status(404)));
            }
        };
        checked.map_err(|(reason, failure)| Refusal::new(reason, self.error(&failure)))?;
        let lifetime = Self::TOKEN_LIFETIME.as_secs() - 1;
        Ok(ScriptedResponse::json(json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.issuer.issue().token,
        })))
    }

    fn throttled(&self, retry_after: u64) -> ScriptedResponse {
        self.error(&THROTTLED)
            .header("retry-after", &retry_after.to_string())
    }

    fn outage(&self) -> ScriptedResponse {
        self.error(&OUTAGE)
    }
}

fn failure_of(fault: &JwtFault) -> Failure {
    match fault {
        JwtFault::Expired { .. } | JwtFault::NotYetValid | JwtFault::IssuedInFuture { .. } => {
            NOT_IN_TIME
        }
        JwtFault::Claim("aud") => OWN_AUDIENCE,
        JwtFault::Claim(_) => OWN_SUBJECT,
        JwtFault::NotAnInteger(_) => NOT_A_JWT,
        _ => SIGNATURE,
    }
}

const fn failure(status: u16, code: &'static str, number: u32, text: &'static str) -> Failure {
    Failure {
        status,
        code,
        number,
        text,
    }
}

const MALFORMED: Failure = failure(
    400,
    "invalid_request",
    900_144,
    "The request body must contain all parameters.",
);
const UNSUPPORTED_GRANT: Failure = failure(
    400,
    "unsupported_grant_type",
    70_003,
    "The grant type is not supported.",
);
const UNKNOWN_TENANT: Failure = failure(400, "invalid_request", 90_002, "Tenant not found.");
const UNKNOWN_CLIENT: Failure = failure(
    400,
    "unauthorized_client",
    700_016,
    "Application was not found in the directory.",
);
const SCOPE: Failure = failure(
    400,
    "invalid_scope",
    1_002_012,
    "The provided value for scope is not valid.",
);
const UNKNOWN_RESOURCE: Failure = failure(
    400,
    "invalid_resource",
    500_011,
    "The resource principal was not found in the tenant.",
);
const NO_CREDENTIAL: Failure = failure(
    401,
    "invalid_client",
    7_000_218,
    "The request body must contain client_assertion or client_secret.",
);
const WRONG_SECRET: Failure = failure(
    401,
    "invalid_client",
    7_000_215,
    "Invalid client secret provided.",
);
const OWN_AUDIENCE: Failure = failure(
    401,
    "invalid_client",
    700_023,
    "Client assertion audience claim does not match Realm issuer.",
);
const OWN_SUBJECT: Failure = failure(
    401,
    "invalid_client",
    700_021,
    "Client assertion application identifier does not match.",
);
const NOT_A_JWT: Failure = failure(
    400,
    "invalid_request",
    50_027,
    "JWT token is invalid or malformed.",
);
const ISSUER: Failure = failure(
    401,
    "invalid_client",
    700_211,
    "No matching federated identity record found for presented assertion issuer.",
);
const AUDIENCE: Failure = failure(
    401,
    "invalid_client",
    700_212,
    "No matching federated identity record found for presented assertion audience.",
);
const SUBJECT: Failure = failure(
    401,
    "invalid_client",
    700_213,
    "No matching federated identity record found for presented assertion subject.",
);
const NOT_IN_TIME: Failure = failure(
    401,
    "invalid_client",
    700_024,
    "Client assertion is not within its valid time range.",
);
const SIGNATURE: Failure = failure(
    401,
    "invalid_client",
    700_027,
    "Client assertion failed signature validation.",
);
const THROTTLED: Failure = failure(
    429,
    "temporarily_unavailable",
    90_055,
    "There are too many incoming requests.",
);
const OUTAGE: Failure = failure(
    503,
    "temporarily_unavailable",
    90_033,
    "A transient error has occurred. Please try again.",
);

const SKEW: Duration = Duration::from_secs(300);
const TRACE: &str = "00000000-1111-2222-3333-444444444444";
