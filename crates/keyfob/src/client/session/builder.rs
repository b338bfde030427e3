//! What can be set about a session, async or blocking.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::authenticator::Authenticator;
use crate::client::builder_setters::origin_setters;
#[cfg(feature = "oauth")]
use crate::client::dpop_setter::dpop_setter;
use crate::client::session::sender::Sender;
use crate::client::shared_timer::Alarm;
use crate::error::error::Error;
#[cfg(not(feature = "oauth"))]
use crate::exchange::no_dpop::{DpopProver, dpop_setter};
use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "oauth")]
use crate::oauth::dpop::DpopProver;
use crate::origin::builder::OriginsBuilder;
use crate::origin::origin::{Origin, parse_url};

/// Makes a session with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{EnvToken, RetryPolicy, Session};
///
/// let session = Session::builder(EnvToken::new("API_TOKEN"))
///     .base_url("https://api.example.com/v1/")
///     .origin("https://uploads.example.com")
///     .timeout(Duration::from_secs(5))
///     .retry(RetryPolicy::default().attempts(6))
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct SessionBuilder<C = reqwest::ClientBuilder> {
    tokens: TokenCache,
    client: C,
    /// Of plain http to this machine; `None` where the client is the user's own.
    direct: Option<C>,
    base: Option<Url>,
    binding: OriginsBuilder,
    prover: Option<DpopProver>,
    retry: RetryPolicy,
    timeout: Duration,
    redirects: u32,
}

impl<C> SessionBuilder<C> {
    pub(crate) fn new(tokens: TokenCache, client: C, direct: C) -> Self {
        Self {
            tokens,
            client,
            direct: Some(direct),
            base: None,
            binding: OriginsBuilder::default(),
            prover: None,
            retry: RetryPolicy::default(),
            timeout: TIMEOUT,
            redirects: REDIRECTS,
        }
    }

    /// Resolves relative URLs against this one, and binds the credential to its origin.
    ///
    /// The last segment of the path counts as a folder, with or without a slash at its end.
    pub fn base_url(mut self, url: impl AsRef<str>) -> Self {
        let base = parse_url(url.as_ref()).and_then(as_base);
        if let Some((url, origin)) = self.binding.accept(base) {
            self.base = Some(url);
            self.binding.bind(Ok(origin));
        }
        self
    }

    origin_setters!();
    dpop_setter!();

    /// Lets the credential go to any https origin that the caller itself names, as the API reference's sessions do.
    ///
    /// Never to one that a redirect names. An origin or base URL that is given as well takes this back.
    pub fn any_https_origin(mut self) -> Self {
        self.binding.allow_any_https();
        self
    }

    /// Sets what is retried; [`RetryPolicy::default`] unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long nothing may move in an attempt; [`Session::TIMEOUT`](crate::Session::TIMEOUT) unless set.
    ///
    /// It starts anew with each piece of a body that is sent or received. A request's own `timeout` bounds the whole
    /// attempt instead, and `retry` bounds all attempts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many redirects are followed; [`Session::REDIRECTS`](crate::Session::REDIRECTS) unless set. With zero, a redirect is an answer.
    ///
    /// On the way to another origin the credential is left behind, and not put back.
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.redirects = redirects;
        self
    }

    /// Uses a client of your own making: proxies, certificates, default headers.
    ///
    /// Redirects are followed by the session, whatever the client's policy is. The client's default headers go wherever a
    /// redirect leads; a secret belongs on a request instead. Unless it is told `no_proxy`, it takes even plain http
    /// to this machine through the proxy that the environment names, and the credential with it.
    pub fn client(mut self, client: C) -> Self {
        self.client = client;
        self.direct = None;
        self
    }

    pub(crate) fn into_sender<B>(
        self,
        build: impl Fn(C, Duration) -> Result<B, reqwest::Error>,
    ) -> Result<Sender<B>, Error> {
        let origins = self.binding.into_origins()?;
        let build = |client| {
            build(client, self.timeout).map_err(|cause| {
                Error::input("the HTTP client cannot be made as it was set").caused_by(cause)
            })
        };
        let direct = self.direct.filter(|_| origins.allows_loopback_http());
        Ok(Sender {
            client: build(self.client)?,
            direct: direct.map(build).transpose()?,
            alarm: Alarm::new(self.timeout, self.tokens.clock(), self.tokens.runtime()),
            authenticator: Authenticator::with_prover(self.tokens, origins, self.prover),
            base: self.base,
            // Sessions made with one policy do not draw on one budget.
            policy: Arc::new(self.retry.with_own_budget()),
            redirects: self.redirects,
        })
    }
}

impl<C> fmt::Debug for SessionBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("tokens", &self.tokens)
            .field("binding", &self.binding)
            .field("prover", &self.prover)
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// A base whose last segment is a folder, and its origin.
fn as_base(mut url: Url) -> Result<(Url, Origin), Error> {
    let origin = Origin::from_url(&url)?;
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    Ok((url, origin))
}

/// How long nothing may move in an attempt, unless set.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// How many redirects are followed, unless set.
pub(crate) const REDIRECTS: u32 = 10;
