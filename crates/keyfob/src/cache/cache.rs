//! One token, kept fresh: read without a lock, renewed once for everybody, ahead of its end.
//!
//! The current token is an immutable [`Snapshot`] behind an `ArcSwap`. A read is a load, one cheap look at both clocks
//! and a clone; as long as neither clock has reached the snapshot's next moment of decision, nothing else happens.
//! Everything else goes through [`Shared::look`], under the lock: is the token due, is a renewal under way, did one
//! just fail? A renewal is a *flight*: a task of its own whose outcome all waiters share.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::cache::builder::TokenCacheBuilder;
use crate::cache::lease::Lease;
use crate::cache::renewal::Flight;
use crate::cache::shared::{Look, Shared};
use crate::cache::status::Status;
use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::runtime::block_on;
use crate::runtime::runtime::Runtime;
use crate::source::source::TokenSource;
use crate::token::token::Token;

/// A token that is kept fresh, and shared by all clones of this value.
///
/// Its methods are called what the API reference calls them; the handler of module
/// [`authentication`](crate::authentication) is this type.
///
/// * Any number of callers cause one call to the source when a token is missing or due (T1).
/// * A failed call is shared with all who waited, and remembered until a growing cool-down ends (T2).
/// * The token is renewed beside the requests well before it ends; callers wait only in its last moments, and a
///   failed renewal fails nobody while the token is valid (T3).
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
    shared: Arc<Shared>,
}

impl TokenCache {
    /// A cache over this source, with the default settings. Nothing is fetched yet.
    pub fn new(source: impl TokenSource) -> Self {
        TokenCacheBuilder::new(source).build_without_token()
    }

    /// A cache over this source, with settings of your own.
    pub fn builder(source: impl TokenSource) -> TokenCacheBuilder {
        TokenCacheBuilder::new(source)
    }

    /// The header that carries the token, if it can be sent without waiting.
    ///
    /// Takes no lock and allocates nothing while the token is fresh. A token that is due is returned, and its renewal is
    /// started beside.
    #[inline]
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        if let Some(snapshot) = self.shared.current.fresh() {
            return Some(snapshot.header().clone());
        }
        self.ready().map(|lease| lease.header().clone())
    }

    /// The token as it can be put on a request, if it can be sent without waiting.
    #[must_use]
    pub fn ready(&self) -> Option<Lease> {
        match self.shared.look() {
            Look::Ready(lease) => Some(lease),
            Look::Wait(_) | Look::Failed(_) => None,
        }
    }

    /// The token as it can be put on a request; waits for it if it is missing or about to lapse.
    ///
    /// `max_wait` bounds the wait of this caller alone; the fetch goes on without it.
    ///
    /// # Errors
    ///
    /// The error of the fetch, or [`ErrorKind::Deadline`] when the max_wait is over. Never while a token is valid.
    #[inline]
    pub async fn lease(&self, max_wait: Option<Duration>) -> Result<Lease, Error> {
        if let Some(lease) = self.fresh() {
            return Ok(lease);
        }
        // A caller's future shall not carry the room for a wait that is rare.
        Box::pin(self.within(max_wait, self.lease_at_leisure()))
            .await
            .unwrap_or_else(|| self.shared.current.waited_too_long(None))
    }

    /// The same, on the calling thread.
    ///
    /// Not for a task of a tokio runtime with one thread, if other tasks there use the cache too: a renewal that one of
    /// them started stands still as long as this call blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    #[inline]
    pub fn lease_blocking(&self, max_wait: Option<Duration>) -> Result<Lease, Error> {
        if let Some(lease) = self.fresh() {
            return Ok(lease);
        }
        block_on::block_on_for(self.lease_at_leisure(), max_wait)
            .unwrap_or_else(|| self.shared.current.waited_too_long(None))
    }

    /// Another token than the rejected one: the one that replaced it already, or a renewed one.
    ///
    /// # Errors
    ///
    /// The error of the renewal. The rejected token stays in place then, for it may still be good elsewhere (T8).
    pub async fn replace(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Option<Duration>,
    ) -> Result<Lease, Error> {
        Box::pin(self.within(max_wait, self.replace_at_leisure(rejected, challenges)))
            .await
            .unwrap_or_else(|| self.shared.current.waited_too_long(Some(rejected)))
    }

    /// The same, on the calling thread.
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
        block_on::block_on_for(self.replace_at_leisure(rejected, challenges), max_wait)
            .unwrap_or_else(|| self.shared.current.waited_too_long(Some(rejected)))
    }

    /// Says that a server rejected the token, without waiting for another.
    pub fn reject(&self, rejected: &Lease, challenges: &Challenges) {
        self.shared.reject(rejected, challenges);
    }

    /// The token in place, as long as it has not expired. Never calls the source, and takes no lock.
    #[must_use]
    pub fn current(&self) -> Option<Lease> {
        self.shared.current.usable()
    }

    /// Whether there is a token outside its leeway. Never calls the source.
    #[must_use]
    pub fn authenticated(&self) -> bool {
        self.shared.current.authenticated().is_some()
    }

    /// Gets a token unless there is one.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub async fn authenticate(&self) -> Result<(), Error> {
        self.lease(None).await.map(drop)
    }

    /// The same, on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn authenticate_blocking(&self) -> Result<(), Error> {
        self.lease_blocking(None).map(drop)
    }

    /// Gets a new token whatever the present one is worth, and forgets a remembered failure.
    ///
    /// If a renewal is under way already, for whatever reason, this call waits for that one and causes no other (T1). A token
    /// that is [handed in](Self::set_token) meanwhile is the outcome.
    ///
    /// # Errors
    ///
    /// The error of the renewal; the present token stays in place then.
    pub async fn renew(&self) -> Result<Token, Error> {
        let hand_ins = self.shared.hand_ins();
        let lease = self.landed(|| self.shared.force(hand_ins)).await?;
        Ok(lease.token().clone())
    }

    /// The same, on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn renew_blocking(&self) -> Result<Token, Error> {
        block_on::block_on(self.renew())
    }

    /// A token that can be sent now, with its expiry.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub async fn get_valid_token(&self) -> Result<Token, Error> {
        Ok(self.lease(None).await?.token().clone())
    }

    /// The same, on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn get_valid_token_blocking(&self) -> Result<Token, Error> {
        Ok(self.lease_blocking(None)?.token().clone())
    }

    /// The header fields of an authenticated request, if there is a token outside its leeway. Never calls the source.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Expired`] if the token is missing or ends too soon.
    pub fn request_headers(&self) -> Result<HeaderMap, Error> {
        let lease = self.shared.current.authenticated().ok_or_else(|| {
            Error::new(
                ErrorKind::Expired,
                "the token is not present or has expired; call `authenticate` first",
            )
        })?;
        Ok(lease.to_headers())
    }

    /// Puts a token in place that was got elsewhere, and forgets a remembered failure.
    ///
    /// It wins over a renewal that is under way, whose outcome, a token or a failure, is then not used: it may stem from a
    /// credential that has changed since (T2). Those who wait for the renewal get this token when the renewal ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] if its expiry cannot be meant; [`ErrorKind::Expired`] if it has passed.
    pub fn set_token(&self, token: Token) -> Result<(), Error> {
        self.shared.hand_in(token)
    }

    /// How things stand, without any secret.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// The same cache for the child of a `fork`: its source, its settings and its token, but a lock and renewals of its own.
    ///
    /// In a child, a lock that another thread held during the fork stays locked, and a renewal that was under way never ends;
    /// this takes neither over. To be called in the child, before anything else is done with the cache there.
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

    /// The token, if nothing needs to be decided about it.
    #[inline]
    pub(crate) fn fresh(&self) -> Option<Lease> {
        let snapshot = self.shared.current.fresh()?;
        Some(Lease::new(Arc::clone(&snapshot)))
    }

    /// The clock by which the token's age is measured.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.current.clock
    }

    /// Where renewals run.
    #[must_use]
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.shared.runtime
    }

    async fn lease_at_leisure(&self) -> Result<Lease, Error> {
        let look = || {
            let look = self.shared.look();
            if let Look::Wait(flight) = &look {
                self.shared.count_wait(flight);
            }
            look
        };
        // The failure is this caller's only if there is no token left to use.
        self.landed(look)
            .await
            .or_else(|error| self.shared.current.usable().ok_or(error))
    }

    async fn replace_at_leisure(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
    ) -> Result<Lease, Error> {
        self.landed(|| self.shared.reject(rejected, challenges))
            .await
            .and_then(|lease| lease.unless_same_as(rejected))
    }

    /// What a look leads to. A caller whose renewal was abandoned or overtaken looks again, and takes it over if nobody else has.
    async fn landed(&self, look: impl Fn() -> Look) -> Result<Lease, Error> {
        for _ in 0..Flight::ABANDONED_AT_MOST {
            match look() {
                Look::Ready(lease) => return Ok(lease),
                Look::Failed(error) => return Err(error),
                Look::Wait(flight) => {
                    if let Some(outcome) = flight.outcome().await {
                        return outcome;
                    }
                }
            }
        }
        Err(Flight::abandoned())
    }

    async fn within<F: Future>(&self, max_wait: Option<Duration>, wait: F) -> Option<F::Output> {
        match max_wait {
            None => Some(wait.await),
            Some(max_wait) => clock::within(&*self.shared.current.clock, max_wait, wait).await,
        }
    }
}

impl TokenCacheBuilder {
    /// Makes the cache. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] if the expiry of the token that it starts with cannot be meant.
    pub fn build(mut self) -> Result<TokenCache, Error> {
        let initial = self.initial.take();
        let cache = self.build_without_token();
        if let Some(token) = initial {
            cache.shared.start_with(token)?;
        }
        Ok(cache)
    }

    fn build_without_token(self) -> TokenCache {
        TokenCache {
            shared: Arc::new(Shared::new(self)),
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
