//! Where tokens come from.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::BoxFuture;

use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
use crate::error::error::Error;
use crate::exchange::challenge::Challenges;
use crate::runtime::runtime;
use crate::runtime::runtime::Runtime;
use crate::source::reentrancy::inside;
use crate::token::token::Token;

/// Something that can be asked for a token.
///
/// The token cache asks it, never a request: one call at a time, beside the requests, with a limit of time after which
/// the future is dropped. A dropped fetch must leave the source usable. A panic counts as a failure of that call.
/// Errors keep their kind: [`Error::refused`] is remembered until a caller forces a renewal, anything else until
/// a cool-down ends. What an error says reaches logs, so it holds no secret.
///
/// A closure becomes a source with [`hook`](fn@crate::hook) or [`hook_blocking`](crate::hook_blocking).
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a token from where it comes from.
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>>;

    /// Whether a fetch uses up the refresh token of the [previous token](TokenRequest::previous).
    ///
    /// The issuer may replace that refresh token (RFC 6749 §6), so such a fetch must not be repeated blindly. `false` unless a
    /// source says otherwise: a client's own credential, a hook or a command can be used again.
    fn consumes_refresh_token(&self) -> bool {
        false
    }
}

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        (**self).fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        (**self).consumes_refresh_token()
    }
}

impl<S: TokenSource + ?Sized> TokenSource for Box<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        (**self).fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        (**self).consumes_refresh_token()
    }
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is no token, or it has expired.
    Missing,
    /// The token ends soon; it is still served while this call runs.
    Due,
    /// A server answered 401 to the token; [`TokenRequest::challenges`] says what it wants.
    Rejected,
    /// A caller asked for a new token whatever the old one is worth.
    Forced,
}

impl Reason {
    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Due => "due",
            Self::Rejected => "rejected",
            Self::Forced => "forced",
        }
    }
}

/// What a source is told when it is asked.
#[derive(Clone)]
pub struct TokenRequest {
    reason: Reason,
    previous: Option<Token>,
    challenges: Challenges,
    timeout: Duration,
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    default_lifetime: Option<Duration>,
    cache: usize,
    /// The fetch runs on a task of its own already.
    is_detached: bool,
}

impl TokenRequest {
    pub(crate) fn new(
        reason: Reason,
        timeout: Duration,
        runtime: Arc<dyn Runtime>,
        cache: usize,
    ) -> Self {
        Self {
            cache,
            reason,
            previous: None,
            challenges: Challenges::default(),
            timeout,
            runtime,
            clock: Arc::new(SystemClock),
            default_lifetime: None,
            is_detached: false,
        }
    }

    /// Takes time from the cache's clock, and a token without an expiry for as long as the cache does.
    pub(crate) fn timed_by(
        mut self,
        clock: Arc<dyn Clock>,
        default_lifetime: Option<Duration>,
    ) -> Self {
        self.clock = clock;
        self.default_lifetime = default_lifetime;
        self
    }

    pub(crate) fn previous_token(mut self, previous: Option<Token>) -> Self {
        self.previous = previous;
        self
    }

    pub(crate) fn challenged_by(mut self, challenges: Challenges) -> Self {
        self.challenges = challenges;
        self
    }

    /// The same request to a source whose token is only needed to get another one: what was refused was not that one.
    #[cfg(feature = "oauth")]
    pub(crate) fn on_behalf(&self) -> Self {
        Self {
            previous: None,
            challenges: Challenges::default(),
            ..self.clone()
        }
    }

    pub(crate) fn cache(&self) -> usize {
        self.cache
    }

    /// Why the source is asked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The token that is to be replaced, expired or not.
    #[must_use]
    pub fn previous(&self) -> Option<&Token> {
        self.previous.as_ref()
    }

    /// What the server's `WWW-Authenticate` fields said when it rejected the token (RFC 9110 §11.6.1).
    #[must_use]
    pub fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// How long the call may take, counted from its start; after that it is dropped and counts as failed.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The clock of the cache that asks; a source that waits, waits by it.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How long a token without an expiry will be used, if the cache was told.
    #[must_use]
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// Runs work to its end in the background, even if the fetch that started it is dropped.
    ///
    /// The fetch timeout and a closed cache drop a fetch at any `.await`. A source that exchanges a refresh token must not
    /// be cut off there: the response may hold the only refresh token that is still valid.
    /// [`Persisted`](crate::source::Persisted) does this for the source that it wraps, and then the work is not moved to a
    /// second task.
    ///
    /// # Errors
    ///
    /// The error of the work, and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if it panicked or the runtime
    /// stopped.
    pub fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        if self.is_detached {
            return Box::pin(work);
        }
        let (sender, receiver) = oneshot::channel();
        self.spawn(Box::pin(async move {
            // The receiver is gone if the fetch was dropped.
            let _ = sender.send(work.await);
        }));
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(interrupted())) })
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
    }

    /// The same request, made from a task that no timeout and no caller drops.
    #[cfg(feature = "store")]
    pub(crate) fn detached(mut self) -> Self {
        self.is_detached = true;
        self
    }

    /// Runs work that blocks its thread beside other tasks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the work panicked or the runtime stopped.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let cache = self.cache;
        let output = runtime::run_blocking(&*self.runtime, move || inside(cache, work));
        Box::pin(async move {
            output
                .await
                .ok_or_else(|| Error::unavailable("the token source panicked or was stopped"))
        })
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("reason", &self.reason)
            .field("previous", &self.previous)
            .field("challenges", &self.challenges)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What the caller gets when a task ended before its work did.
pub(crate) fn interrupted() -> Error {
    Error::unavailable("the runtime stopped, or the token source panicked, during an exchange")
}
