//! The settings of a cache, and its callbacks for changed tokens.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::{BoxError, Error};
use crate::error::shown_duration::shown_duration;
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::source::reentrancy::poll_inside;
use crate::source::source;
use crate::source::source::TokenRequest;
use crate::source::source::{Reason, TokenSource};
use crate::token::token::Token;

/// Makes a [`TokenCache`](crate::TokenCache) with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{EnvToken, TokenCache};
///
/// let cache = TokenCache::builder(EnvToken::new("API_TOKEN"))
///     .default_lifetime(Duration::from_secs(3600))
///     .on_change(|change| async move {
///         println!("token {} is in use", change.generation());
///         Ok(())
///     })
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct TokenCacheBuilder {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) settings: Settings,
    pub(super) initial: Option<Token>,
}

/// The settings that a cache and its renewals share.
pub(super) struct Settings {
    pub(super) fetch_timeout: Duration,
    pub(super) default_lifetime: Option<Duration>,
    on_change: Vec<OnChange>,
}

impl Settings {
    pub(super) fn new(fetch_timeout: Duration, default_lifetime: Option<Duration>) -> Self {
        Self {
            fetch_timeout,
            default_lifetime,
            on_change: Vec::new(),
        }
    }

    /// Runs the callbacks for a changed token.
    pub(super) async fn run_callbacks(
        &self,
        change: &TokenChange,
        clock: &dyn Clock,
        cache: usize,
    ) -> Result<(), Error> {
        let callbacks = poll_inside(cache, async {
            // One after another: if one fails, the token is not used, and the rest are not called.
            for callback in &self.on_change {
                callback(change.clone()).await?;
            }
            Ok::<_, BoxError>(())
        });
        // A panic must not end the renewal's task: callers would wait for it and then start another.
        let callbacks = AssertUnwindSafe(callbacks).catch_unwind();
        let failed = |how: &str| {
            Error::unavailable(format!(
                "the callback for a changed token {how}; the token is not used"
            ))
        };
        let timeout = self.fetch_timeout;
        match clock::within(clock, timeout, callbacks).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(failed("failed").caused_by(cause)),
            Some(Err(_)) => Err(failed("panicked")),
            None => Err(failed(&format!(
                "did not end within {}",
                shown_duration(timeout)
            ))),
        }
    }
}

type OnChange = Box<dyn Fn(TokenChange) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

impl TokenCacheBuilder {
    /// The default of [`fetch_timeout`](Self::fetch_timeout).
    pub const FETCH_TIMEOUT: Duration = source::FETCH_TIMEOUT;

    pub(super) fn new(source: impl TokenSource) -> Self {
        Self {
            source: Arc::new(source),
            clock: Arc::new(SystemClock),
            runtime: Arc::new(TokioOrThreads),
            settings: Settings::new(Self::FETCH_TIMEOUT, None),
            initial: None,
        }
    }

    /// Starts with a token that your program has. If it has expired, the source is asked.
    pub fn token(mut self, token: Token) -> Self {
        self.initial = Some(token);
        self
    }

    /// Sets how long one call to the source may take, and the callbacks after it.
    ///
    /// The default is [`FETCH_TIMEOUT`](Self::FETCH_TIMEOUT).
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.settings.fetch_timeout = timeout;
        self
    }

    /// Sets how long a token without an expiry is used. Unless set, it is used until a server rejects it (T5).
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.default_lifetime = Some(lifetime);
        self
    }

    /// Adds a callback that is awaited with each new token before the token is used.
    ///
    /// If the callback fails, panics or takes longer than [`fetch_timeout`](Self::fetch_timeout), the renewal fails and the
    /// new token is not used. The callback is not called if the source returns the same token again, nor for a token that
    /// your program sets.
    pub fn on_change<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(TokenChange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let callback: OnChange = Box::new(move |change| Box::pin(callback(change)));
        self.settings.on_change.push(callback);
        self
    }

    /// Uses the clock and the runtime of the cache that makes this request.
    pub(crate) fn like(mut self, request: &TokenRequest) -> Self {
        self.clock = Arc::clone(&request.clock);
        self.runtime = Arc::clone(&request.runtime);
        self
    }

    /// Uses another clock, such as one that a test controls.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Runs renewals on another runtime than [`TokioOrThreads`].
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Arc::new(runtime);
        self
    }
}

impl fmt::Debug for TokenCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheBuilder")
            .field("fetch_timeout", &self.settings.fetch_timeout)
            .field("default_lifetime", &self.settings.default_lifetime)
            .finish_non_exhaustive()
    }
}

/// A new token that is about to replace the current one.
///
/// [`TokenCacheBuilder::on_change`](crate::cache::TokenCacheBuilder) has an example.
#[derive(Clone, Debug)]
pub struct TokenChange {
    pub(super) previous: Option<Token>,
    pub(super) current: Token,
    pub(super) reason: Reason,
    pub(super) generation: u64,
}

impl TokenChange {
    /// Returns the token that is replaced.
    #[must_use]
    pub fn previous(&self) -> Option<&Token> {
        self.previous.as_ref()
    }

    /// Returns the new token, which is used after the callback.
    #[must_use]
    pub fn current(&self) -> &Token {
        &self.current
    }

    /// Returns why the source was asked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the number of the new token, as in [`Lease::generation`](crate::cache::Lease::generation).
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}
