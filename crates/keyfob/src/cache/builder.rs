//! What can be set about a cache, and what it tells about a new token.

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
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::source::reentrancy::poll_inside;
use crate::source::source::{Reason, TokenSource};
use crate::token::freshness::{Acquired, Schedule};
use crate::token::token::{Expiry, Token};

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

/// What does not change over a cache's life.
pub(super) struct Settings {
    pub(super) fetch_timeout: Duration,
    pub(super) default_lifetime: Option<Duration>,
    on_change: Vec<OnChange>,
}

impl Settings {
    /// Lays out a token's life, with the default lifetime where the issuer gave none (T5).
    pub(super) fn schedule(&self, token: &Token, acquired: Acquired) -> Result<Schedule, Error> {
        let expiry = match (token.expires(), self.default_lifetime) {
            (Expiry::Unknown, Some(lifetime)) => Expiry::In(lifetime),
            (given, _) => given,
        };
        Schedule::new(expiry, token.recheck(), acquired, fastrand::f64())
    }

    /// Lets the callbacks see a changed token before anyone uses it.
    pub(super) async fn tell(
        &self,
        change: &TokenChange,
        clock: &dyn Clock,
        cache: usize,
    ) -> Result<(), Error> {
        let callbacks = poll_inside(cache, async {
            for callback in &self.on_change {
                callback(change.clone()).await?;
            }
            Ok::<_, BoxError>(())
        });
        let callbacks = AssertUnwindSafe(callbacks).catch_unwind();
        let failed = |how: &str| {
            Error::unavailable(format!(
                "the callback for a changed token {how}; the token is not used"
            ))
        };
        let limit = self.fetch_timeout;
        match clock::within(clock, limit, callbacks).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(failed("failed").caused_by(cause)),
            Some(Err(_)) => Err(failed("panicked")),
            None => Err(failed(&format!("did not end within {limit:?}"))),
        }
    }
}

type OnChange = Box<dyn Fn(TokenChange) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

impl TokenCacheBuilder {
    /// How long one call to the source may take, unless set.
    pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

    pub(super) fn new(source: impl TokenSource) -> Self {
        Self {
            source: Arc::new(source),
            clock: Arc::new(SystemClock),
            runtime: Arc::new(TokioOrThreads),
            settings: Settings {
                fetch_timeout: Self::FETCH_TIMEOUT,
                default_lifetime: None,
                on_change: Vec::new(),
            },
            initial: None,
        }
    }

    /// Starts with a token that was got elsewhere. One that has expired is as good as none.
    pub fn token(mut self, token: Token) -> Self {
        self.initial = Some(token);
        self
    }

    /// Bounds one call to the source, and the callbacks; [`FETCH_TIMEOUT`](Self::FETCH_TIMEOUT) unless set.
    pub fn fetch_timeout(mut self, timeout: Duration) -> Self {
        self.settings.fetch_timeout = timeout;
        self
    }

    /// How long a token without an expiry is used. Unless set, it is used until a server rejects it (T5).
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.default_lifetime = Some(lifetime);
        self
    }

    /// Awaits a callback with each new token before anyone uses it.
    ///
    /// If the callback fails, panics or takes longer than [`fetch_timeout`](Self::fetch_timeout), the renewal has failed
    /// and the new token is not used. It is not called when the source returns the same token again, nor for a token that
    /// is handed in.
    pub fn on_change<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(TokenChange) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let callback: OnChange = Box::new(move |change| Box::pin(callback(change)));
        self.settings.on_change.push(callback);
        self
    }

    /// Takes time from another clock, such as a test's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Runs renewals somewhere else than on [`TokioOrThreads`].
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

/// A new token that is about to take the place of the last.
#[derive(Clone, Debug)]
pub struct TokenChange {
    pub(super) previous: Option<Token>,
    pub(super) current: Token,
    pub(super) reason: Reason,
    pub(super) generation: u64,
}

impl TokenChange {
    /// The token that is replaced.
    #[must_use]
    pub fn previous(&self) -> Option<&Token> {
        self.previous.as_ref()
    }

    /// The token that will be used when the callback has ended.
    #[must_use]
    pub fn current(&self) -> &Token {
        &self.current
    }

    /// Why the source was asked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The number that the new token's leases will have.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}
