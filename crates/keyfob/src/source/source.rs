//! The contract of a source of tokens, and what it is told when it is asked.

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
use crate::runtime::runtime::{Runtime, TokioOrThreads};
use crate::source::reentrancy;
use crate::source::reentrancy::inside;
use crate::source::token_text::type_use::TypeUse;
use crate::token::token::Token;

/// Something that can be asked for a token.
///
/// A closure becomes a source with [`hook`](fn@crate::hook) or [`hook_blocking`](crate::hook_blocking). The module
/// [`source`](crate::source) lists the other implementations.
///
/// To implement it, keep this contract:
///
/// * **Calls.** A [`TokenCache`](crate::TokenCache) calls [`fetch`](Self::fetch) in the background of requests, once at a time.
///   Caches that share a source may call it concurrently.
/// * **Cancellation.** The future is dropped after the [timeout](TokenRequest::timeout). A dropped fetch must leave the source
///   usable. Work that must not be cut off goes to [`run_to_completion`](TokenRequest::run_to_completion), work that blocks its
///   thread to [`run_blocking`](TokenRequest::run_blocking).
/// * **Errors** keep their kind. [`Error::refused`] is remembered until a caller forces a renewal, any other error until a
///   cool-down ends. A panic counts as a failure of that call.
/// * **Secrets.** The text of an error reaches logs, so it must not hold a secret.
///
/// ```
/// use keyfob::source::{TokenFuture, TokenRequest};
/// use keyfob::{Error, Token, TokenCache, TokenSource};
///
/// # struct VaultClient;
/// # enum VaultError { PermissionDenied, Sealed }
/// # struct Secret { value: String, lease_seconds: u64 }
/// # impl VaultClient {
/// #     async fn read(&self, _: &str) -> Result<Secret, VaultError> {
/// #         Ok(Secret { value: "t0ken".to_owned(), lease_seconds: 300 })
/// #     }
/// # }
/// /// Reads the token from a vault.
/// struct Vault {
///     client: VaultClient,
///     path: String,
/// }
///
/// impl TokenSource for Vault {
///     fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
///         Box::pin(async move {
///             let secret = self.client.read(&self.path).await.map_err(|error| match error {
///                 // Asking again does not help until a person has changed something.
///                 VaultError::PermissionDenied => Error::refused("this machine may not read the token"),
///                 VaultError::Sealed => Error::unavailable("the vault is sealed"),
///             })?;
///             let lifetime = std::time::Duration::from_secs(secret.lease_seconds);
///             Ok(Token::new(secret.value)?.expires_in(lifetime))
///         })
///     }
/// }
///
/// let vault = Vault { client: VaultClient, path: "api/token".to_owned() };
/// let tokens = TokenCache::new(vault);
/// assert_eq!(tokens.get_valid_token_blocking()?.expose(), "t0ken");
/// # Ok::<(), keyfob::Error>(())
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Fetches a token.
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a>;

    /// Whether a fetch uses up the refresh token of the [previous token](TokenRequest::previous).
    ///
    /// The issuer may replace that refresh token (RFC 6749 §6), so such a fetch must not be repeated blindly. The default is
    /// `false`: a client's own credential, a hook or a command can be used again.
    fn consumes_refresh_token(&self) -> bool {
        false
    }
}

/// What [`TokenSource::fetch`] returns: a boxed future, as `Box::pin(async move { … })` makes it.
pub type TokenFuture<'a> = BoxFuture<'a, Result<Token, Error>>;

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        (**self).fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        (**self).consumes_refresh_token()
    }
}

impl<S: TokenSource + ?Sized> TokenSource for Box<S> {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        (**self).fetch(request)
    }

    fn consumes_refresh_token(&self) -> bool {
        (**self).consumes_refresh_token()
    }
}

/// Why a source is asked for a token.
///
/// [`hook`](fn@crate::hook) has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is no token, or it has expired.
    Missing,
    /// The token expires soon. It is still used while this call runs.
    Due,
    /// A server rejected the token with a 401. [`TokenRequest::challenges`] says what the server asks for.
    Rejected,
    /// A caller asked for a new token, although the old one may be valid.
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

/// What a source is told when it is asked for a token.
///
/// [`hook`](fn@crate::hook) has an example.
#[derive(Clone)]
pub struct TokenRequest {
    pub(crate) reason: Reason,
    pub(crate) previous: Option<Token>,
    pub(crate) challenges: Challenges,
    pub(crate) timeout: Duration,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) default_lifetime: Option<Duration>,
    /// The identity of the cache that asks, or zero.
    pub(crate) cache: usize,
    /// The fetch already runs on a task that no timeout and no caller drops.
    pub(crate) is_detached: bool,
    pub(crate) type_use: TypeUse,
}

impl TokenRequest {
    /// A request for this reason, as a cache makes it, for the tests of a source.
    ///
    /// ```
    /// use keyfob::source::{Reason, TokenRequest};
    /// use keyfob::{FixedToken, Token, TokenSource};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), keyfob::Error> {
    /// let request = TokenRequest::for_reason(Reason::Rejected).with_previous(Token::new("old")?);
    /// let source = FixedToken::new(Token::new("new")?);
    /// assert_eq!(source.fetch(&request).await?.expose(), "new");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn for_reason(reason: Reason) -> Self {
        Self {
            reason,
            ..Self::new(FETCH_TIMEOUT, Arc::new(TokioOrThreads))
        }
    }

    /// The same request for a successor of this token.
    #[must_use]
    pub fn with_previous(mut self, token: Token) -> Self {
        self.previous = Some(token);
        self
    }

    /// The same request after a response with these challenges.
    #[must_use]
    pub fn with_challenges(mut self, challenges: Challenges) -> Self {
        self.challenges = challenges;
        self
    }

    /// The same request of a cache with this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A request for a first token, by no cache.
    pub(crate) fn new(timeout: Duration, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            reason: Reason::Missing,
            previous: None,
            challenges: Challenges::default(),
            timeout,
            runtime,
            clock: Arc::new(SystemClock),
            default_lifetime: None,
            cache: 0,
            is_detached: false,
            type_use: TypeUse::UsualScheme,
        }
    }

    /// A request for a token that a request of the present fetch carries.
    pub(crate) fn of_present_fetch(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            cache: reentrancy::current(),
            ..Self::new(FETCH_TIMEOUT, Arc::new(TokioOrThreads))
        }
    }

    /// The same request to a source whose token is only used to get another one.
    ///
    /// It has no previous token and no challenges, because those belong to the other token. So does the reason, except that a
    /// caller who forces a renewal wants no remembered failure of any source.
    pub(crate) fn on_behalf(&self) -> Self {
        Self {
            reason: match self.reason {
                Reason::Forced => Reason::Forced,
                _ => Reason::Missing,
            },
            previous: None,
            challenges: Challenges::default(),
            type_use: TypeUse::Ignored,
            ..self.clone()
        }
    }

    /// Why the source is asked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The token that the new one replaces. It may have expired.
    #[must_use]
    pub fn previous(&self) -> Option<&Token> {
        self.previous.as_ref()
    }

    /// The challenges in the response that rejected the token (`WWW-Authenticate`, RFC 9110 §11.6.1).
    #[must_use]
    pub fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// How long the fetch may take from its start. Then its future is dropped, and the fetch has failed.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The clock of the cache. A source that waits should use it, so that tests can control time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How long the cache uses a token without an expiry, if that was set.
    #[must_use]
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// Runs work to its end in the background, even if the fetch that started it is dropped.
    ///
    /// The fetch timeout and the end of the cache drop a fetch at any `.await`. A source that exchanges a refresh token must
    /// not be cut off there, because the response may hold the only refresh token that is still valid. If the caller of
    /// the source has taken care of that already, as `Persisted` does, the work is not moved to a second task.
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
        self.runtime.spawn(Box::pin(async move {
            // The receiver is gone if the fetch was dropped.
            let _ = sender.send(work.await);
        }));
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(interrupted())) })
    }

    /// Runs work that blocks its thread, on a thread where it holds up no other task.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the work panicked or the runtime stopped.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Error>> {
        let cache = self.cache;
        // Marked on that thread too, so that a hook that asks its own cache fails at once.
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

/// How long one call to a source may take, unless the cache is set otherwise.
pub(crate) const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The error of a caller whose background task ended without a result.
pub(crate) fn interrupted() -> Error {
    Error::unavailable("the runtime stopped, or the token source panicked, during an exchange")
}
