//! The metadata server of a machine on Google Cloud.
//!
//! It serves the tokens of the machine's service accounts at
//! `/computeMetadata/v1/instance/service-accounts/ACCOUNT/token` and `…/identity?audience=…`. Each request needs the header
//! `Metadata-Flavor: Google` and must not have `X-Forwarded-For`; each response has `Metadata-Flavor: Google`, so that a client
//! knows who answered. Errors are HTML or plain text: 403 without the header, 404 for an unknown account or path, 400 for an
//! identity token without an audience. An access token is served from a cache until five minutes before it expires, so the
//! `expires_in` of a response is the remaining lifetime. An identity token is the whole body, which has no expiry.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::issuer::issuer::Issuer;
use crate::lock::lock;
use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// The metadata server of a machine with one service account.
///
/// ```
/// use keyfob_testkit::platforms::GcpMetadata;
///
/// let metadata = GcpMetadata::start();
/// // The client finds it in this variable:
/// let host = metadata.server().address().to_string();
/// assert!(host.starts_with("127.0.0.1:"));
/// ```
#[derive(Debug)]
pub struct GcpMetadata {
    clock: FakeClock,
    issuer: Issuer,
    key: PlatformKey,
    caches: AtomicBool,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    scopes: Option<String>,
    token: String,
    expires: i64,
}

starts!(GcpMetadata);

impl GcpMetadata {
    /// The address of the service account, which is also the account `default`.
    pub const ACCOUNT: &str = "robot@my-project.iam.gserviceaccount.com";

    /// How long an access token and an identity token live.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

    fn new(clock: &FakeClock) -> Self {
        let issuer = clock.issuer("ya29.fake", Self::TOKEN_LIFETIME);
        Self {
            clock: clock.clone(),
            issuer,
            key: PlatformKey::rsa("google-key"),
            caches: AtomicBool::new(true),
            cached: Mutex::default(),
        }
    }

    /// The issuer of access tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The key that signs identity tokens.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }

    /// Sets whether access tokens come from a cache, as they do on Google Cloud. Without it each call gets a new token.
    pub fn set_caches(&self, caches: bool) {
        self.caches.store(caches, Ordering::Relaxed);
    }

    fn access_token(&self, request: &Received) -> ScriptedResponse {
        let (now, scopes) = (self.clock.unix_seconds(), request.query_value("scopes"));
        let mut cached = lock(&self.cached);
        let is_usable = |cached: &Cached| {
            self.caches.load(Ordering::Relaxed)
                && cached.scopes == scopes
                && cached.expires - now > CACHE_MARGIN
        };
        if !cached.as_ref().is_some_and(is_usable) {
            *cached = Some(Cached {
                scopes,
                token: self.issuer.issue().token,
                expires: now + seconds(Self::TOKEN_LIFETIME),
            });
        }
        let cached = cached.as_ref().expect("it was just filled");
        ScriptedResponse::json(json!({
            "access_token": cached.token,
            "expires_in": cached.expires - now,
            "token_type": "Bearer",
        }))
    }

    fn identity_token(&self, audience: &str, full: bool) -> ScriptedResponse {
        let now = self.clock.unix_seconds();
        let mut claims = json!({
            "iss": "https://accounts.google.com",
            "aud": audience,
            "azp": "112233445566778899000",
            "sub": "112233445566778899000",
            "iat": now,
            "exp": now + seconds(Self::TOKEN_LIFETIME),
        });
        if full {
            claims["email"] = Self::ACCOUNT.into();
            claims["email_verified"] = true.into();
        }
        ScriptedResponse::bytes(self.key.sign(&json!({}), &claims))
            .header("content-type", "text/html")
    }

    fn respond_to(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        if request.header("metadata-flavor") != Some("Google") {
            return Err(html(403, "there is no `Metadata-Flavor: Google`"));
        }
        if request.header("x-forwarded-for").is_some() {
            return Err(html(403, "the request came through a proxy"));
        }
        if request.method != Method::GET {
            return Err(html(405, "the method is not GET"));
        }
        let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
        let Some((account, wanted)) = path.split_once('/') else {
            return Err(html(404, "the path is unknown"));
        };
        if ![Self::ACCOUNT, "default"].contains(&account.replace("%40", "@").as_str()) {
            return Err(html(404, "the service account is unknown"));
        }
        match wanted {
            "token" => Ok(self.access_token(request)),
            "identity" => {
                let audience = request.query_value("audience").unwrap_or_default();
                if audience.is_empty() {
                    let text = "non-empty audience parameter required";
                    let response = ScriptedResponse::text(text).with_status(400);
                    return Err(Refusal::new("there is no audience", response));
                }
                let full = request.query_value("format").as_deref() == Some("full");
                Ok(self.identity_token(&audience, full))
            }
            _ => Err(html(404, "the path is unknown")),
        }
    }
}

impl Platform for GcpMetadata {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let flavored = |response: ScriptedResponse| response.header("metadata-flavor", "Google");
        let responded = self.respond_to(request).map(flavored);
        responded.map_err(|mut refusal| {
            refusal.response = Box::new(flavored(*refusal.response));
            refusal
        })
    }

    fn outage(&self) -> ScriptedResponse {
        *html(503, "down").response
    }
}

fn html(status: u16, reason: &str) -> Refusal {
    let page = format!("<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n");
    let response = ScriptedResponse::bytes(page)
        .with_status(status)
        .header("content-type", "text/html; charset=UTF-8");
    Refusal::new(reason, response)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

const PREFIX: &str = "/computeMetadata/v1/instance/service-accounts/";
/// The cache hands out a token until this many seconds before it expires.
const CACHE_MARGIN: i64 = 300;
