//! The token cache: the public methods, and how callers wait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::cache::builder::TokenCacheBuilder;
use crate::cache::caller::{Caller, Wanted};
use crate::cache::lease::Lease;
use crate::cache::shared_state::{Lookup, SharedState};
use crate::cache::status::Status;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::runtime::block_on;
use crate::runtime::lock::lock;
use crate::runtime::runtime::Runtime;
use crate::source::source::{Reason, TokenSource};
use crate::token::token::Token;

/// Keeps one token valid, and shares it among all clones of the cache.
///
/// * When a token is missing or due, any number of callers cause one call to the source (T1).
/// * All callers that waited for a failed call get its error. It is remembered until a growing cool-down ends (T2).
/// * The token is renewed in the background before it expires. Callers wait only if it is about to expire, and a failed
///   renewal fails no caller while the token is valid (T3).
///
/// The methods have the names of the API reference, whose handler of module
/// [`authentication`](crate::authentication) is this type.
///
/// ```
/// use std::time::Duration;
/// use keyfob::TokenCache;
///
/// let cache = TokenCache::new(keyfob::hook_blocking(|_| {
///     Ok::<_, std::io::Error>(("t0ken", Duration::from_secs(300)))
/// }));
/// assert!(!cache.authenticated());
/// assert_eq!(cache.get_valid_token_blocking()?.expose(), "t0ken");
/// assert!(cache.authenticated());
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenCache {
    pub(super) shared: Arc<SharedState>,
}

impl TokenCache {
    /// Makes a cache with the default settings. Nothing is fetched yet.
    pub fn new(source: impl TokenSource) -> Self {
        TokenCacheBuilder::new(source).build_without_token()
    }

    /// Starts a cache with settings of your own.
    pub fn builder(source: impl TokenSource) -> TokenCacheBuilder {
        TokenCacheBuilder::new(source)
    }

    /// Returns the value of the header that carries the token, if there is a token to send now.
    ///
    /// Takes no lock and allocates nothing while the token is fresh. If the token is due, this starts its renewal in the
    /// background.
    #[inline]
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        if let Some(snapshot) = self.shared.current.fresh() {
            return Some(snapshot.header().clone());
        }
        self.ready().map(|lease| lease.header().clone())
    }

    /// Returns the token for a request, if there is one to send now. Otherwise starts a renewal in the background.
    #[must_use]
    pub fn ready(&self) -> Option<Lease> {
        match self.shared.lookup() {
            Lookup::Ready(lease) => Some(lease),
            Lookup::Wait(_) | Lookup::Failed(_) => None,
        }
    }

    /// Returns the token for a request. Waits for a renewal if the token is missing or about to expire.
    ///
    /// `max_wait` limits the wait of this caller only; the fetch continues without it.
    ///
    /// # Errors
    ///
    /// The error of the fetch, or [`ErrorKind::Deadline`] after `max_wait`. Never while a token is valid: in its leeway,
    /// callers wait for half of the time that it has left, and then get it (T3).
    #[inline]
    pub async fn lease(&self, max_wait: Option<Duration>) -> Result<Lease, Error> {
        if let Some(lease) = self.fresh() {
            return Ok(lease);
        }
        // Waiting is rare, so it is boxed to keep the futures of callers small.
        Box::pin(self.caller(Wanted::Usable).wait(max_wait)).await
    }

    /// As [`lease`](Self::lease), but blocks the calling thread.
    ///
    /// Do not call it from a task of a single-threaded tokio runtime if other tasks there use the cache: a renewal that one
    /// of them started cannot continue while this call blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    #[inline]
    pub fn lease_blocking(&self, max_wait: Option<Duration>) -> Result<Lease, Error> {
        if let Some(lease) = self.fresh() {
            return Ok(lease);
        }
        self.block(|| Wanted::Usable, max_wait)
    }

    /// Returns another token than the rejected one: its successor if there is one, or else a renewed token.
    ///
    /// # Errors
    ///
    /// The error of the renewal. The rejected token then stays current, because other servers may accept it (T8).
    pub async fn replace(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        let reason = Reason::Rejected;
        self.successor(rejected, reason, challenges, max_wait).await
    }

    /// As [`replace`](Self::replace), but blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub fn replace_blocking(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        let wanted = || Wanted::Successor {
            of: rejected,
            reason: Reason::Rejected,
            challenges,
        };
        self.block(wanted, max_wait)
    }

    /// As [`replace`](Self::replace), but does not wait for the renewal.
    pub fn reject(&self, rejected: &Lease, challenges: &Challenges) {
        self.shared.replace(rejected, Reason::Rejected, challenges);
    }

    /// Returns another token than this one, or the same if the source has no other and it was not rejected.
    pub(super) async fn successor(
        &self,
        of: &Lease,
        reason: Reason,
        challenges: &Challenges,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        let wanted = Wanted::Successor {
            of,
            reason,
            challenges,
        };
        Box::pin(self.caller(wanted).wait(max_wait)).await
    }

    /// Records that a server accepted the token that replaced a rejected one: renewals after rejections help.
    pub(crate) fn replacement_accepted(&self) {
        lock(&self.shared.locked).rejections.end_series();
    }

    /// Returns the current token, unless it has expired. Never calls the source, and takes no lock.
    #[must_use]
    pub fn current(&self) -> Option<Lease> {
        self.shared.current.usable()
    }

    /// Whether there is a token that does not expire within its leeway. Never calls the source.
    #[must_use]
    pub fn authenticated(&self) -> bool {
        self.shared.current.authenticated().is_some()
    }

    /// Fetches a token if there is none.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub async fn authenticate(&self) -> Result<(), Error> {
        self.lease(None).await.map(drop)
    }

    /// As [`authenticate`](Self::authenticate), but blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn authenticate_blocking(&self) -> Result<(), Error> {
        self.lease_blocking(None).map(drop)
    }

    /// Fetches a new token even if the current one is valid, and forgets a remembered failure.
    ///
    /// If a renewal already runs, this call waits for it and starts no other (T1). If a token is [set](Self::set_token)
    /// during the renewal, this call returns that one.
    ///
    /// # Errors
    ///
    /// The error of the renewal. The current token is then kept.
    pub async fn renew(&self) -> Result<Token, Error> {
        // Read first: a token that is set from here on is newer than this call, and answers it.
        let tokens_set = self.shared.tokens_set();
        let lease = self
            .caller(Wanted::Renewed { tokens_set })
            .wait(None)
            .await?;
        Ok(lease.token().clone())
    }

    /// As [`renew`](Self::renew), but blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn renew_blocking(&self) -> Result<Token, Error> {
        block_on::block_on(self.renew())
    }

    /// Returns a valid token. Waits for a renewal if the token is missing or about to expire.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub async fn get_valid_token(&self) -> Result<Token, Error> {
        Ok(self.lease(None).await?.token().clone())
    }

    /// As [`get_valid_token`](Self::get_valid_token), but blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn get_valid_token_blocking(&self) -> Result<Token, Error> {
        Ok(self.lease_blocking(None)?.token().clone())
    }

    /// Returns the header fields of an authenticated request. Never calls the source.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the cache is not [`authenticated`](Self::authenticated).
    pub fn request_headers(&self) -> Result<HeaderMap, Error> {
        let lease = self.shared.current.authenticated().ok_or_else(|| {
            Error::new(
                ErrorKind::Expired,
                "the token is not present or has expired; call `authenticate` first",
            )
        })?;
        Ok(lease.to_headers())
    }

    /// Replaces the current token with one that your program has, and forgets a remembered failure.
    ///
    /// It takes precedence over a renewal that already runs, because that may use a credential that has changed since (T2).
    /// The result of that renewal, a token or an error, is not used, and callers that wait for it get this token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if it has expired.
    pub fn set_token(&self, token: Token) -> Result<(), Error> {
        self.shared.set_token(token)
    }

    /// Returns the state of the cache, without any secret.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Returns a copy for the child of a `fork`, with the same source, settings and token, but its own lock and renewals.
    ///
    /// Call it in the child, before any other use of the cache there. In a child, a lock that another thread held during the
    /// fork stays locked, and a renewal that ran never ends; the copy has neither.
    ///
    /// ```
    /// use keyfob::{FixedToken, Token, TokenCache};
    ///
    /// let tokens = TokenCache::builder(FixedToken::new(Token::new("t0ken")?)).token(Token::new("t0ken")?).build()?;
    /// let in_the_child = tokens.forked();
    /// assert_eq!(in_the_child.get_valid_token_blocking()?.expose(), "t0ken");
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn forked(&self) -> Self {
        Self {
            shared: Arc::new(self.shared.forked()),
        }
    }

    /// Returns the token if it is certainly fresh: not even due for a renewal.
    ///
    /// Takes no lock and starts nothing, so it can also be called in the child of a `fork`, before [`forked`](Self::forked).
    #[inline]
    #[must_use]
    pub fn fresh(&self) -> Option<Lease> {
        let snapshot = self.shared.current.fresh()?;
        Some(Lease(Arc::clone(&snapshot)))
    }

    /// Returns the clock that measures the token's age.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.current.clock
    }

    /// Returns the runtime on which renewals run.
    #[must_use]
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.shared.runtime
    }

    fn caller<'a>(&'a self, wants: Wanted<'a>) -> Caller<'a> {
        Caller::new(&self.shared, wants)
    }

    fn block<'a>(
        &'a self,
        wants: impl Fn() -> Wanted<'a>,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        block_on::block_on_for(self.caller(wants()).wait(None), max_wait)
            .unwrap_or_else(|| self.caller(wants()).after_max_wait())
    }
}

impl TokenCacheBuilder {
    /// Makes the cache. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// None today. Settings that could not be used would be reported here.
    pub fn build(mut self) -> Result<TokenCache, Error> {
        let initial = self.initial.take();
        let cache = self.build_without_token();
        if let Some(token) = initial {
            cache.shared.set_initial_token(token);
        }
        Ok(cache)
    }

    fn build_without_token(self) -> TokenCache {
        TokenCache {
            shared: Arc::new(SharedState::new(self)),
        }
    }
}

impl<S: TokenSource> From<S> for TokenCache {
    fn from(source: S) -> Self {
        Self::new(source)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("status", &self.status())
            .finish()
    }
}
