//! The identity tokens of a GitHub Actions job.
//!
//! A job with the permission `id-token: write` has two variables: a URL that already has a query, and a token for it. A `GET` of
//! the URL with `&audience=…` returns `{"count": …, "value": "eyJ…"}`. The value is a JWT of five minutes; the response has no
//! other expiry. Without an audience it is the URL of the repository's owner.
//!
//! The fake checks the method, the path, `api-version` and the token, and signs JWTs with the claims that GitHub documents.

use std::time::Duration;

use serde_json::json;

use crate::platforms::clock::FakeClock;
use crate::platforms::fake::{Platform, starts};
use crate::platforms::key::PlatformKey;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// The service that issues the identity tokens of a GitHub Actions job.
///
/// ```
/// use keyfob_testkit::platforms::GitHubActions;
///
/// let actions = GitHubActions::start();
/// let variables = [
///     ("ACTIONS_ID_TOKEN_REQUEST_URL", actions.url_for(GitHubActions::REQUEST_PATH)),
///     ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", GitHubActions::REQUEST_TOKEN.to_owned()),
/// ];
/// assert!(variables[0].1.contains('?'));
/// ```
#[derive(Debug)]
pub struct GitHubActions {
    clock: FakeClock,
    key: PlatformKey,
}

starts!(GitHubActions);

impl GitHubActions {
    /// The path and query of `ACTIONS_ID_TOKEN_REQUEST_URL`.
    pub const REQUEST_PATH: &str = "/run/1234//idtoken/5678?api-version=2.0";

    /// The value of `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub const REQUEST_TOKEN: &str = "fake-actions-request-token";

    /// `iss` of the tokens.
    pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

    /// `sub` of the tokens.
    pub const SUBJECT: &str = "repo:octo-org/octo-repo:ref:refs/heads/main";

    /// `aud` of a token for which no audience was asked.
    pub const DEFAULT_AUDIENCE: &str = "https://github.com/octo-org";

    /// How long a token lives.
    pub const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

    fn new(clock: &FakeClock) -> Self {
        Self {
            clock: clock.clone(),
            key: PlatformKey::rsa("actions-key"),
        }
    }

    /// The key that signs the tokens.
    #[must_use]
    pub fn key(&self) -> &PlatformKey {
        &self.key
    }
}

impl Platform for GitHubActions {
    fn respond(&self, request: &Received) -> Result<ScriptedResponse, Refusal> {
        let (path, _) = Self::REQUEST_PATH.split_once('?').expect("it has a query");
        if !request.is_to(&http::Method::GET, path) {
            let reason = format!("{} {} is no endpoint", request.method, request.path);
            return Err(refused(404, reason));
        }
        if request.query_value("api-version").as_deref() != Some("2.0") {
            return Err(refused(400, "the query of the URL was lost"));
        }
        if request.bearer() != Some(Self::REQUEST_TOKEN) {
            return Err(refused(401, "the request token is missing or wrong"));
        }
        let audience = request.query_value("audience");
        let now = self.clock.unix_seconds();
        let jwt = self.key.sign(
            &json!({}),
            &json!({
                "iss": Self::ISSUER,
                "sub": Self::SUBJECT,
                "aud": audience.as_deref().unwrap_or(Self::DEFAULT_AUDIENCE),
                "jti": format!("run-{now}"),
                "ref": "refs/heads/main",
                "repository": "octo-org/octo-repo",
                "repository_owner": "octo-org",
                "iat": now,
                "nbf": now - 600,
                "exp": now + i64::try_from(Self::TOKEN_LIFETIME.as_secs()).expect("minutes"),
            }),
        );
        Ok(ScriptedResponse::json(
            json!({"count": jwt.len(), "value": jwt}),
        ))
    }
}

fn refused(status: u16, reason: impl Into<String>) -> Refusal {
    let reason = reason.into();
    // The service is not documented in more detail; its other endpoints respond in this form.
    let body = json!({"$id": "1", "message": reason, "typeKey": "Exception", "errorCode": 0});
    Refusal::new(reason, ScriptedResponse::json(body).with_status(status))
}
