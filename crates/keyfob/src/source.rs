//! Where tokens come from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

#[cfg(feature = "oauth")]
pub(crate) mod client_credentials;
pub(crate) mod command;
pub(crate) mod env;
pub(crate) mod file;
pub(crate) mod fixed;
#[cfg(feature = "oauth")]
pub(crate) mod grant;
pub(crate) mod helper_output;
pub(crate) mod hook;
#[cfg(feature = "oauth")]
pub(crate) mod jwt_bearer;
#[cfg(feature = "store")]
pub(crate) mod persisted;
pub(crate) mod reentry;
#[cfg(feature = "oauth")]
pub(crate) mod refresh_token;
#[cfg(feature = "oauth")]
pub(crate) mod smart_backend_services;
#[cfg(all(feature = "oauth", feature = "store"))]
mod store_keys;
#[cfg(feature = "oauth")]
pub(crate) mod token_exchange;

use crate::challenge::Challenges;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::error::Error;
use crate::runtime;
use crate::runtime::Runtime;
use crate::source::reentry::inside;
use crate::token::Token;

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

    /// What a fetch uses up, so that it must not be repeated blindly. Nothing, unless a source says otherwise.
    fn consumes(&self) -> Consumes {
        Consumes::Nothing
    }
}

/// What a fetch uses up at the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consumes {
    /// It may be repeated: a client's own credential, a hook, a command.
    Nothing,
    /// The refresh token of the [previous token](TokenRequest::previous), which the issuer may replace (RFC 6749 §6).
    RefreshToken,
}

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        (**self).fetch(request)
    }

    fn consumes(&self) -> Consumes {
        (**self).consumes()
    }
}

impl<S: TokenSource + ?Sized> TokenSource for Box<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        (**self).fetch(request)
    }

    fn consumes(&self) -> Consumes {
        (**self).consumes()
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
    patience: Duration,
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    default_lifetime: Option<Duration>,
    cache: usize,
}

impl TokenRequest {
    pub(crate) fn new(
        reason: Reason,
        patience: Duration,
        runtime: Arc<dyn Runtime>,
        cache: usize,
    ) -> Self {
        Self {
            cache,
            reason,
            previous: None,
            challenges: Challenges::default(),
            patience,
            runtime,
            clock: Arc::new(SystemClock::default()),
            default_lifetime: None,
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
    pub fn deadline(&self) -> Duration {
        self.patience
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

    /// Brings a task to its end, whether or not the fetch that started it is dropped.
    pub fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
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
            .field("deadline", &self.patience)
            .finish_non_exhaustive()
    }
}
