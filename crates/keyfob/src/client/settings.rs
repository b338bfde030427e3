//! The settings that the builders of all clients share, and the rules for requests that they become.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use crate::cache::cache::TokenCache;
use crate::client::authenticator::Authenticator;
use crate::client::idle_timeout::IdleTimeout;
use crate::error::error::Error;
use crate::exchange::outcome::DEFAULT_TIMEOUT;
use crate::exchange::proof::RequestProof;
use crate::exchange::rejection::RejectedStatuses;
use crate::exchange::retry::RetryPolicy;
use crate::origin::builder::OriginsBuilder;

/// The settings of a session, a layer or a middleware.
pub(crate) struct ClientSettings {
    pub(crate) tokens: TokenCache,
    pub(crate) origins: OriginsBuilder,
    pub(crate) proof: Option<Arc<dyn RequestProof>>,
    pub(crate) retry: RetryPolicy,
    pub(crate) rejected: RejectedStatuses,
    pub(crate) timeout: Duration,
    pub(crate) choose: Option<ChooseTokens>,
}

/// Chooses the cache of a request by its extensions.
pub(crate) type ChooseTokens = Arc<dyn Fn(&Extensions) -> Result<TokenCache, Error> + Send + Sync>;

impl ClientSettings {
    pub(crate) fn new(tokens: TokenCache) -> Self {
        Self {
            tokens,
            origins: OriginsBuilder::default(),
            proof: None,
            retry: RetryPolicy::default(),
            rejected: RejectedStatuses::default(),
            timeout: DEFAULT_TIMEOUT,
            choose: None,
        }
    }

    /// The same settings for a client whose requests each name the key of their token.
    #[cfg(feature = "pool")]
    pub(crate) fn with_pool(self, pool: &crate::pool::pool::TokenPool) -> Self {
        use crate::pool::{key::PoolKey, state::no_key};

        let keys = pool.clone();
        let choose = move |extensions: &Extensions| match extensions.get::<PoolKey>() {
            Some(key) => keys.tokens(key),
            None => Err(no_key()),
        };
        Self {
            tokens: pool.without_key(),
            choose: Some(Arc::new(choose)),
            ..self
        }
    }

    /// The rules, unless an origin cannot be used. Each client gets a retry budget of its own.
    pub(crate) fn into_rules(self) -> Result<ClientRules, Error> {
        let origins = self.origins.into_origins()?;
        Ok(ClientRules {
            timeout: IdleTimeout::new(self.timeout, self.tokens.clock(), self.tokens.runtime()),
            authenticator: Authenticator::with_proof(self.tokens, origins, self.proof)
                .with_rejected_statuses(self.rejected),
            policy: Arc::new(self.retry),
            choose: self.choose,
            #[cfg(feature = "session")]
            proxies: None,
        })
    }
}

/// The rules by which a client sends requests. All clones of a client share them.
pub(crate) struct ClientRules {
    pub(crate) authenticator: Authenticator,
    pub(crate) policy: Arc<RetryPolicy>,
    pub(crate) timeout: IdleTimeout,
    choose: Option<ChooseTokens>,
    /// The proxies of the environment, if the HTTP client may use them and was not made here.
    #[cfg(feature = "session")]
    pub(crate) proxies: Option<crate::origin::loopback::EnvironmentProxies>,
}

impl ClientRules {
    /// The rules for the credential of this request, if its extensions choose one. `None` for the client's own.
    ///
    /// # Errors
    ///
    /// The request names no key, or there is no cache for it. It must then not be sent (R2).
    pub(crate) fn authenticator_of(
        &self,
        extensions: &Extensions,
    ) -> Result<Option<Box<Authenticator>>, Error> {
        let Some(choose) = &self.choose else {
            return Ok(None);
        };
        let tokens = choose(extensions)?;
        Ok(Some(Box::new(self.authenticator.with_tokens(tokens))))
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("tokens", &self.tokens)
            .field("origins", &self.origins)
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRules")
            .field("authenticator", &self.authenticator)
            .field("policy", &self.policy)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The setters of a builder whose field `settings` is a [`ClientSettings`].
macro_rules! settings_setters {
    () => {
        /// Binds the credential to one more origin, such as `https://uploads.example.com`.
        pub fn origin(mut self, origin: impl AsRef<str>) -> Self {
            self.settings.origins.bind(origin.as_ref().parse());
            self
        }

        /// Allows plain `http` to one origin that is not on this machine, and binds the credential to it.
        ///
        /// Every machine on the network path can then read the token and use it.
        pub fn allow_plain_http(mut self, origin: impl AsRef<str>) -> Self {
            let origins = &mut self.settings.origins;
            origins.allow_plain_http(origin.as_ref().parse());
            self
        }

        /// Allows the credential to go to any https origin that the caller names in a request.
        ///
        /// It never goes to an origin that a redirect names. This has no effect if an origin is bound as well.
        pub fn any_https_origin(mut self) -> Self {
            self.settings.origins.allow_any_https();
            self
        }

        /// Proves with each attempt that the client holds the key of its token (DPoP, RFC 9449).
        ///
        /// The tokens must have the scheme `DPoP`; no other token is sent. Clients that share a prover share its key and
        /// its nonces.
        #[must_use = "the setter returns the changed builder"]
        pub fn dpop(mut self, proof: impl RequestProof + 'static) -> Self {
            self.settings.proof = Some(std::sync::Arc::new(proof));
            self
        }

        /// Sets which statuses mean that the server rejected the token, in addition to 401 (R3).
        ///
        /// For servers that respond with 403 or 498, for example, when a token has expired or was revoked. The token is then
        /// renewed, and the request is sent once more. If the new token is rejected too, the response is returned: a status
        /// that [`retry`](Self::retry) names is not retried then.
        ///
        /// A status that is no error, outside of 400 to 599, makes `build` return
        /// [`ErrorKind::Input`](crate::ErrorKind::Input).
        pub fn rejected_statuses(
            mut self,
            statuses: impl IntoIterator<Item = http::StatusCode>,
        ) -> Self {
            let statuses = crate::exchange::rejection::RejectedStatuses::new(statuses);
            if let Some(statuses) = self.settings.origins.accept(statuses) {
                self.settings.rejected = statuses;
            }
            self
        }

        /// Sets what is retried.
        ///
        /// See [`RetryPolicy`] for the rules. All requests of one client share one retry budget.
        pub fn retry(mut self, policy: RetryPolicy) -> Self {
            self.settings.retry = policy;
            self
        }

        /// Sets the timeout of each attempt; 20 seconds unless set.
        ///
        /// An attempt fails when for this time nothing moves: no part of the request body is sent, and no part of the
        /// response is received. The documentation of this builder's `build` says how far this client can tell.
        /// [`Duration::MAX`] is no timeout. The total time of all attempts is set in [`retry`](Self::retry).
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.settings.timeout = timeout;
            self
        }
    };
}

pub(crate) use settings_setters;
