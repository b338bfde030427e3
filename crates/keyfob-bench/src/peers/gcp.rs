//! gcp_auth: a service account with a new key, whose token endpoint can be set.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gcp_auth::{CustomServiceAccount, TokenProvider};
use http::HeaderValue;
use keyfob_testkit::Server;
use serde_json::json;

use crate::peers::{Due, Peer, bearer, said};
use crate::source::Source;

pub struct Gcp {
    account: CustomServiceAccount,
    _endpoint: Server,
}

impl Peer for Gcp {
    const NAME: &'static str = "gcp_auth";
    // It replaces tokens in their last 20 s.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(15), Duration::ZERO)];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let endpoint = source.endpoint();
        let account = json!({
            "project_id": "project",
            "private_key": private_key()?,
            "client_email": "account@project.example",
            "token_uri": endpoint.url(),
        });
        Ok(Self {
            account: CustomServiceAccount::from_json(&account.to_string()).map_err(said)?,
            _endpoint: endpoint,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let token = self.account.token(&["scope"]).await.map_err(said)?;
        bearer(token.as_str())
    }
}

/// A key that only this process knows.
fn private_key() -> Result<String, String> {
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA"])
        .output()
        .map_err(|error| format!("openssl: {error}"))?;
    String::from_utf8(made.stdout).map_err(said)
}
