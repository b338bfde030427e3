//! The settings of a route.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::settings::ClientSettings;
use crate::exchange::proof::RequestProof;
use crate::exchange::rejection::RejectedStatuses;
use crate::exchange::retry::RetryPolicy;
use crate::origin::client_certificate::ClientCertificate;
use crate::origin::origin::{Origin, parse_url};
use crate::pool::pool::TokenPool;

/// Builds a [`Route`](crate::proxy::Route) with settings of your own.
///
/// ```
/// use keyfob::EnvToken;
/// use keyfob::proxy::Route;
///
/// let route = Route::builder("github", "https://api.github.com/", EnvToken::new("GITHUB_TOKEN"))
///     .methods(["GET".parse().unwrap()])
///     .paths(["/repos/our-team"])
///     .build()?;
/// assert_eq!(route.name(), "github");
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct RouteBuilder {
    pub(super) name: String,
    pub(super) base: Option<Url>,
    pub(super) settings: ClientSettings,
    pub(super) pool: Option<TokenPool>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) replay_limit: usize,
    pub(super) methods: Vec<Method>,
    pub(super) paths: Vec<String>,
}

impl RouteBuilder {
    /// The largest request body that can be sent again, in bytes, unless [set](Self::replay_limit): 1 MiB.
    pub const REPLAY_LIMIT: usize = 1024 * 1024;

    pub(super) fn new(name: String, base_url: &str, tokens: TokenCache) -> Self {
        let mut settings = ClientSettings::new(tokens);
        let base = settings.origins.accept(parse_url(base_url));
        Self {
            name,
            base,
            settings,
            pool: None,
            ca_file: None,
            certificate: None,
            replay_limit: Self::REPLAY_LIMIT,
            methods: Vec::new(),
            paths: Vec::new(),
        }
    }

    /// Gives the route another name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Allows a base URL with plain `http` that is not on this machine.
    ///
    /// Every machine on the network path can then read the token and use it.
    pub fn allow_plain_http(mut self) -> Self {
        let origin = self.base.as_ref().map(Origin::from_url);
        if let Some(origin) = origin {
            self.settings.origins.allow_plain_http(origin);
        }
        self
    }

    /// Takes the tokens from this cache in place of the one that the builder was made with.
    pub fn tokens(mut self, tokens: impl Into<TokenCache>) -> Self {
        self.settings.tokens = tokens.into();
        self.settings.choose = None;
        self.pool = None;
        self
    }

    /// Takes the token of each request from this pool, in place of one token for all requests.
    ///
    /// The key is the [`PoolKey`](crate::pool::PoolKey) in the request's extensions, which no client can set. A
    /// [`ReverseServer`](crate::proxy::ReverseServer) puts it there by the [`Subjects`](crate::proxy::Subjects) of its
    /// [`Admission`](crate::proxy::Admission). A request without a key is not sent (R2).
    pub fn pool(mut self, pool: &TokenPool) -> Self {
        self.settings = self.settings.with_pool(pool);
        self.pool = Some(pool.clone());
        self
    }

    /// Proves with each attempt that the client holds the key of its token (DPoP, RFC 9449).
    ///
    /// The proofs name the upstream's URL.
    pub fn dpop(mut self, proof: impl RequestProof + 'static) -> Self {
        self.settings.proof = Some(Arc::new(proof));
        self
    }

    /// Sets which statuses mean that the upstream rejected the token, in addition to 401 (R3).
    pub fn rejected_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        let statuses = RejectedStatuses::new(statuses);
        if let Some(statuses) = self.settings.origins.accept(statuses) {
            self.settings.rejected = statuses;
        }
        self
    }

    /// Sets what is retried. All requests of one route share one retry budget.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets how long an attempt may wait for the head of the response while nothing moves; 20 seconds unless set.
    ///
    /// The body of a response has no timeout, because it may be a stream of events.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Trusts the certificate authorities in this file (PEM) and no others.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_file = Some(path.as_ref().to_owned());
        self
    }

    /// Presents this certificate to the upstream, if it asks for one in the TLS handshake.
    pub fn client_certificate(mut self, certificate: &ClientCertificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Sets how many bytes of a request body are kept at most, so that the request can be sent again.
    ///
    /// [`REPLAY_LIMIT`](Self::REPLAY_LIMIT) unless set. A larger body is streamed and cannot be sent again.
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// Allows these methods only. All are allowed unless set.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.extend(methods);
        self
    }

    /// Allows only these paths and those below them. All are allowed unless set.
    ///
    /// They are paths below the base URL, such as `/repos/our-team`.
    pub fn paths<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.paths.extend(paths.into_iter().map(Into::into));
        self
    }
}

impl fmt::Debug for RouteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteBuilder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
