//! Checks whether a profile works, one step after the other.

use futures_util::future::BoxFuture;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::origin::origin::{Origin, without_secrets};
use crate::profile::client::client_now;
use crate::profile::profile::Profile;
use crate::profile::schema::grant::Grant;
use crate::profile::schema::token::{Link, TokenSettings};
use crate::store::store::TokenStore;

/// One step of a [check](Profile::check), and its outcome.
#[derive(Clone, Debug)]
pub struct Finding {
    what: String,
    outcome: Result<String, Error>,
}

impl Finding {
    /// What was tried, in words.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What was found, in words without a secret.
    ///
    /// # Errors
    ///
    /// Why this step failed.
    pub fn outcome(&self) -> Result<&str, &Error> {
        self.outcome.as_deref()
    }

    fn is_good(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl Profile {
    /// Tries each step up to a new token, and stops at the first kind that fails.
    ///
    /// The steps are: accept the servers, as each request does; for each token with which the profile's token is fetched, from the
    /// innermost: read its secrets and get it; then the same for the profile's token, whose OAuth server is reached before. The
    /// token replaces the present one as in any renewal: if it consumes a refresh token, the new refresh token is stored.
    pub async fn check(&self) -> Vec<Finding> {
        let mut findings = vec![self.check_servers()];
        self.check_links(&self.definition.token, "", &mut findings)
            .await;
        if !findings.iter().all(Finding::is_good) {
            return findings;
        }
        let grant = self.definition.token.grant();
        for (key, secret) in self.definition.token.secrets() {
            // It is read for the first renewal only, so a person may have removed it since.
            if key == "refresh_token" && self.has_stored_refresh_token().await {
                continue;
            }
            let found = secret.read_now().await;
            findings.push(Finding {
                what: format!("the secret `{key}`"),
                outcome: found.map(|_| format!("is in {secret}")),
            });
        }
        findings.extend(self.check_certificate().await);
        // Each step needs those before it, and would repeat their error.
        if findings.iter().all(Finding::is_good)
            && let Some(grant) = grant
        {
            findings.push(self.check_server(grant).await);
        }
        if findings.iter().all(Finding::is_good) {
            findings.push(Finding {
                what: "a new token".to_owned(),
                outcome: self.try_renewal().await,
            });
        }
        findings
    }

    /// Gets the token of each link, the innermost first, and stops at one that fails. The path leads to the token.
    fn check_links<'a>(
        &'a self,
        token: &'a TokenSettings,
        path: &'a str,
        findings: &'a mut Vec<Finding>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for link in &token.links {
                let path = format!("{path} {}", link.key);
                self.check_links(&link.token, &path, findings).await;
                if findings.iter().all(Finding::is_good) {
                    findings.push(self.check_link(link, &path).await);
                }
            }
        })
    }

    async fn check_link(&self, link: &Link, path: &str) -> Finding {
        let found = async {
            let source = self.link_source(link, path)?;
            let lease = TokenCache::new(source).lease(None).await?;
            Ok(described(&lease, &link.token.from.to_string()))
        };
        let place = format!(
            "the token for `{}`",
            path.trim_start().replace(' ', "` of `")
        );
        Finding {
            what: link.token.name.map_or(place, str::to_owned),
            outcome: found.await,
        }
    }

    /// Whether a request to the profile's servers would be sent: with plain http, for example, each one is refused.
    fn check_servers(&self) -> Finding {
        if self.origins().is_empty() {
            return Finding {
                what: "its token".to_owned(),
                outcome: Ok("is only used to fetch those of other profiles".to_owned()),
            };
        }
        let servers: Vec<_> = self.origins().iter().map(Origin::to_string).collect();
        Finding {
            what: "its token".to_owned(),
            outcome: self
                .check_origins()
                .map(|()| format!("may go to {}", servers.join(", "))),
        }
    }

    /// Whether the client certificate can be read.
    async fn check_certificate(&self) -> Option<Finding> {
        let of_grant = self.definition.token_certificate.as_ref();
        let of_api = self.definition.client_certificate.as_ref();
        let servers = match (of_grant, of_api) {
            (Some(_), Some(_)) => "the API and the token endpoint",
            (Some(_), None) => "the token endpoint",
            (None, _) => "the API",
        };
        let read = of_grant.or(of_api)?.certificate().await;
        Some(Finding {
            what: "the client certificate".to_owned(),
            outcome: read.map(|read| {
                let file = read.files().0.display();
                format!(
                    "is in {file}, for {servers}; its thumbprint is {}",
                    read.thumbprint()
                )
            }),
        })
    }

    /// True if the first refresh token, which the file refers to, is no longer needed.
    async fn has_stored_refresh_token(&self) -> bool {
        let Ok(Some((store, key))) = self.store() else {
            return false;
        };
        let stored = store.load(&key).await.ok().flatten();
        let token = stored.as_ref().and_then(|stored| stored.entry.token());
        token.is_some_and(|token| token.refresh_token().is_some())
    }

    async fn try_renewal(&self) -> Result<String, Error> {
        let tokens = self.tokens()?;
        tokens.renew().await?;
        // One lease for the token and its expiry.
        let lease = tokens.lease(None).await?;
        Ok(described(&lease, &self.token_from()))
    }
}

/// Where a token came from, its kind, its lifetime and its scopes.
fn described(lease: &Lease, from: &str) -> String {
    let kind = lease.token().authentication_scheme().unwrap_or("a key");
    let ends = lease.expires_at();
    let left = ends.map(|end| {
        end.duration_since(SystemClock.coarse_time().wall_time())
            .unwrap_or_default()
    });
    let lifetime = match left {
        Some(left) => format!("for {} s", left.as_secs()),
        None => "without an expiry".to_owned(),
    };
    let scope = match lease.token().scope() {
        Some(scope) => format!(", with the scopes {scope}"),
        None => String::new(),
    };
    format!("came from {from}: {kind}, {lifetime}{scope}")
}

impl Profile {
    /// Whether the server's token endpoint is known, from its metadata or from the file.
    async fn check_server(&self, grant: &Grant) -> Finding {
        let found = async {
            let client = client_now(&self.definition, &self.link_sources()?).await?;
            let metadata = client.metadata().await?;
            Ok(format!(
                "issues tokens at {}",
                without_secrets(metadata.token.url.as_str())
            ))
        };
        Finding {
            what: format!("the server {}", without_secrets(grant.server.url())),
            outcome: found.await,
        }
    }
}
