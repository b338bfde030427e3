//! Whether a profile works: each step to its token, tried.

use crate::error::error::Error;
use crate::profile::client::{Secrets, client};
use crate::profile::dpop::Proof;
use crate::profile::profile::Profile;
use crate::profile::schema::Grant;
use crate::profile::secret_ref::unasked;
use crate::store::store::TokenStore;

/// One thing that a [check](Profile::check) tried, and what came of it.
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
    /// Why it does not work.
    pub fn outcome(&self) -> Result<&str, &Error> {
        self.outcome.as_deref()
    }

    fn is_good(&self) -> bool {
        self.outcome.is_ok()
    }

    fn new(what: impl Into<String>, outcome: Result<String, Error>) -> Self {
        Self {
            what: what.into(),
            outcome,
        }
    }
}

impl Profile {
    /// Tries the profile step by step, up to a new token, and stops at what does not work.
    ///
    /// The token is renewed as at any other time: it replaces the present one, and where a refresh token is used up, the
    /// new one is kept.
    pub async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, reference) in self.definition.token.secrets() {
            if key == "refresh_token" && self.keeps_a_refresh_token().await {
                continue;
            }
            let found = reference.read_now().await;
            let what = format!("the secret `{key}`");
            findings.push(Finding::new(
                what,
                found.map(|_| format!("is in {reference}")),
            ));
        }
        if findings.iter().all(Finding::is_good)
            && let Some(grant) = self.definition.token.grant()
        {
            findings.push(ask(grant, &self.proof).await);
        }
        if findings.iter().all(Finding::is_good) {
            let outcome = self.try_token().await;
            findings.push(Finding::new("a new token", outcome));
        }
        findings
    }

    /// Whether the one to begin with is not needed any more.
    async fn keeps_a_refresh_token(&self) -> bool {
        let Ok(Some((store, key))) = self.store() else {
            return false;
        };
        let kept = store.load(&key).await.ok().flatten();
        let token = kept.as_ref().and_then(|kept| kept.entry.token());
        token.is_some_and(|token| token.refresh_token().is_some())
    }

    async fn try_token(&self) -> Result<String, Error> {
        let tokens = self.tokens()?;
        let token = tokens.renew().await?;
        let from = self.token_from();
        let kind = token.authentication_scheme().unwrap_or("a key");
        Ok(match tokens.status().expires_in {
            Some(left) => format!("came from {from}: {kind}, for {} s", left.as_secs()),
            None => format!("came from {from}: {kind}, without an expiry"),
        })
    }
}

/// Whether the server can be asked, and says where for what.
async fn ask(grant: &Grant, proof: &Proof) -> Finding {
    let found = async {
        let secrets = Secrets::read(grant, &unasked()).await?;
        let prover = proof.prover(grant).await?;
        let metadata = client(grant, &secrets, prover)?.metadata().await?;
        Ok(format!("gives tokens at {}", metadata.token.url()))
    };
    Finding::new(format!("the server {}", grant.server.url()), found.await)
}
