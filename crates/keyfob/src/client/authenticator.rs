//! Which credential goes on which request: the cache's, on requests for its origins, in place of any other.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::clock::clock::Clock;
use crate::error::error::Error;
use crate::exchange::budget::RetryBudget;
use crate::exchange::challenge::Challenges;
use crate::exchange::exchange::{Exchange, Now, Step};
use crate::exchange::outcome::{Idempotency, Outcome, Replay};
use crate::exchange::proof::{DPOP, RequestProof};
use crate::exchange::redirect::OnRedirect;
use crate::exchange::rejection::RejectedStatuses;
use crate::exchange::retry::RetryPolicy;
use crate::observe::events;
use crate::origin::origin::{Origin, Origins};

/// A token cache and the rules for its credential: which origins may receive it, and how possession is proved.
///
/// One authenticator belongs to one client. Clones share the token and the retry budget.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: TokenCache,
    origins: Arc<Origins>,
    proof: Option<Arc<dyn RequestProof>>,
    budget: Arc<RetryBudget>,
    rejected: RejectedStatuses,
}

/// Where a request goes, as its HTTP client will read it.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An absolute URL.
    Url(&'a Url),
    /// A URI, which may leave the server to the connection.
    Uri(&'a Uri),
    /// An origin, for clients that have another type for URLs.
    Origin(&'a Origin),
}

/// What one attempt carries: a token and, where possession is proved, the proof for this attempt alone.
#[derive(Debug)]
#[must_use = "the request is not authenticated unless the credential is applied to it"]
pub struct Credential<'a> {
    lease: &'a Lease,
    proof: Option<HeaderValue>,
}

impl Authenticator {
    /// Binds the credential of a cache to these origins.
    #[must_use]
    pub fn new(tokens: TokenCache, origins: Origins) -> Self {
        Self::with_proof(tokens, origins, None)
    }

    pub(crate) fn with_proof(
        tokens: TokenCache,
        origins: Origins,
        proof: Option<Arc<dyn RequestProof>>,
    ) -> Self {
        Self {
            tokens,
            origins: Arc::new(origins),
            proof,
            budget: Arc::default(),
            rejected: RejectedStatuses::default(),
        }
    }

    pub(crate) fn with_rejected_statuses(mut self, statuses: RejectedStatuses) -> Self {
        self.rejected = statuses;
        self
    }

    /// Proves with each attempt that the client holds the key of its token (DPoP, RFC 9449).
    #[must_use]
    pub fn dpop(mut self, proof: impl RequestProof + 'static) -> Self {
        self.proof = Some(Arc::new(proof));
        self
    }

    /// Sets which statuses mean that a server rejected the token, in addition to 401 (R3).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) for a status that is no error: one outside of 400 to 599.
    pub fn rejected_statuses(
        self,
        statuses: impl IntoIterator<Item = StatusCode>,
    ) -> Result<Self, Error> {
        RejectedStatuses::new(statuses).map(|statuses| self.with_rejected_statuses(statuses))
    }

    /// Shares the retry budget of another client; each authenticator has a budget of its own unless set.
    #[must_use]
    pub fn budget(mut self, budget: Arc<RetryBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// The same rules for the credential of another cache, such as that of one user. Both share the retry budget.
    ///
    /// ```
    /// use keyfob::custom_client::Authenticator;
    /// use keyfob::origin::OriginsBuilder;
    /// use keyfob::{EnvToken, TokenCache};
    ///
    /// let mut origins = OriginsBuilder::default();
    /// origins.bind("https://api.example.com".parse());
    /// let authenticator = Authenticator::new(EnvToken::new("API_TOKEN").into(), origins.into_origins()?);
    /// let of_alice = authenticator.with_tokens(TokenCache::new(EnvToken::new("TOKEN_OF_ALICE")));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    #[must_use]
    pub fn with_tokens(&self, tokens: TokenCache) -> Self {
        Self {
            tokens,
            ..self.clone()
        }
    }

    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    /// The origins that may receive the credential.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Begins a request, unless the credential may not go where the request goes (R1).
    ///
    /// The total time of the policy counts from here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) if the credential may not go there, and
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the target has no origin. The request must then not be sent.
    pub fn begin<'a>(
        &self,
        target: impl Into<Target<'a>>,
        policy: &Arc<RetryPolicy>,
        idempotency: Idempotency,
        body: Replay,
    ) -> Result<Exchange, Error> {
        match target.into() {
            Target::Url(url) => self.origins.check_url(url)?,
            Target::Uri(uri) => self.origins.check_uri(uri)?,
            Target::Origin(origin) => self.origins.check(origin)?,
        }
        Ok(self.begin_unchecked(policy, idempotency, body))
    }

    /// Begins a request without a check of its origin.
    ///
    /// Only for a request whose origin the caller has checked itself, or that carries no credential of this client; see
    /// [`Exchange::leave_credential`].
    #[must_use]
    pub fn begin_unchecked(
        &self,
        policy: &Arc<RetryPolicy>,
        idempotency: Idempotency,
        body: Replay,
    ) -> Exchange {
        let (policy, budget) = (Arc::clone(policy), Arc::clone(&self.budget));
        // A precise time costs four times as much, 0.4 % of a request (bench `layer_cpu`, goal 1.06).
        let now = self.clock().coarse_time().elapsed();
        let exchange = Exchange::new(policy, budget, idempotency, body, now)
            .with_rejected_statuses(self.rejected.clone());
        match self.proof {
            Some(_) => exchange.with_proofs(),
            None => exchange,
        }
    }

    /// The lease for the next attempt of a request, for which this waits as long as the request may take.
    ///
    /// `None` if the next attempt carries no credential, after a redirect to another origin (R1).
    ///
    /// # Errors
    ///
    /// As [`TokenCache::lease`], and [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if possession is proved and the
    /// token is not bound to a key (R2).
    pub async fn lease(&self, exchange: &Exchange) -> Result<Option<Lease>, Error> {
        if !exchange.carries_credential() {
            return Ok(None);
        }
        let lease = match self.tokens.fresh() {
            Some(lease) => Ok(lease),
            None => self.tokens.lease(Some(self.max_wait(exchange))).await,
        };
        self.checked(lease).map(Some)
    }

    /// The same, on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_blocking(&self, exchange: &Exchange) -> Result<Option<Lease>, Error> {
        if !exchange.carries_credential() {
            return Ok(None);
        }
        let lease = match self.tokens.fresh() {
            Some(lease) => Ok(lease),
            None => self.tokens.lease_blocking(Some(self.max_wait(exchange))),
        };
        self.checked(lease).map(Some)
    }

    /// Makes the credential of one attempt (R7), for this method and this absolute URL.
    ///
    /// `url` is called only where possession is proved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if possession is proved and the token is not bound to a key
    /// (R2), and [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the key cannot sign.
    #[inline]
    pub fn credential<'a, U: AsRef<str>>(
        &self,
        lease: &'a Lease,
        method: &Method,
        url: impl FnOnce() -> U,
    ) -> Result<Credential<'a>, Error> {
        events::token_used(|| lease.age(self.clock().coarse_time().elapsed()));
        let proof = match &self.proof {
            Some(proof) => {
                let now = self.clock().coarse_time().wall_time();
                Some(proof.prove(lease.token(), method, url().as_ref(), now)?)
            }
            None => None,
        };
        Ok(Credential { lease, proof })
    }

    /// Records the nonce that a response from this absolute URL provides for the proofs of later attempts.
    ///
    /// Call it for each response to an attempt that carried the credential.
    #[inline]
    pub fn record_nonce<U: AsRef<str>>(
        &self,
        url: impl FnOnce() -> U,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        if let Some(proof) = &self.proof {
            proof.record_nonce(url().as_ref(), status, headers);
        }
    }

    /// Whether a response to an attempt with the credential rejects it (R3).
    ///
    /// For clients that have a part below them judge that: such a response is then not to be retried.
    #[must_use]
    pub fn rejects(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.rejected.refuse(status, headers)
    }

    /// Decides what follows on the outcome of an attempt.
    ///
    /// Retries and redirects are logged and counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Redirect`](crate::ErrorKind::Redirect) if the limit of redirects is reached.
    pub fn judge(
        &self,
        exchange: &mut Exchange,
        outcome: Outcome<'_>,
        on_redirect: OnRedirect<'_>,
    ) -> Result<Step, Error> {
        let carried = exchange.carries_credential();
        if exchange.replacement_is_accepted(&outcome) {
            self.tokens.replacement_accepted();
        }
        let status = match &outcome {
            Outcome::Response(status, _) => Some(*status),
            Outcome::Failure(_) => None,
        };
        let step = exchange.judge(outcome, on_redirect, || self.now())?;
        match &step {
            Step::Wait(pause, cause) => {
                events::retried(cause, *pause, status, exchange.next_attempt());
            }
            Step::Follow(redirect) if carried && !exchange.carries_credential() => {
                events::credential_withheld(redirect.to());
            }
            _ => {}
        }
        Ok(step)
    }

    /// Another lease in place of one that a server rejected, for [`Step::Renew`].
    ///
    /// `None` if there is none within [`max_wait`](Self::max_wait). The reason is logged.
    pub async fn replace(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Duration,
    ) -> Option<Lease> {
        let tokens = &self.tokens;
        let replaced = tokens.replace(rejected, challenges, Some(max_wait)).await;
        self.logged(self.checked(replaced))
    }

    /// The same, on the calling thread.
    #[must_use]
    pub fn replace_blocking(
        &self,
        rejected: &Lease,
        challenges: &Challenges,
        max_wait: Duration,
    ) -> Option<Lease> {
        let tokens = &self.tokens;
        let replaced = tokens.replace_blocking(rejected, challenges, Some(max_wait));
        self.logged(self.checked(replaced))
    }

    /// Renews a token that a server rejected, for [`Step::Reject`]: the request in hand is not sent again.
    ///
    /// Waits at most [`max_wait`](Self::max_wait), so that a request that the caller makes again finds the new token.
    pub async fn reject(&self, rejected: &Lease, challenges: &Challenges, max_wait: Duration) {
        let tokens = &self.tokens;
        if let Err(error) = tokens.replace(rejected, challenges, Some(max_wait)).await {
            self.replacement_failed(&error);
        }
    }

    /// The same, on the calling thread.
    pub fn reject_blocking(&self, rejected: &Lease, challenges: &Challenges, max_wait: Duration) {
        let tokens = &self.tokens;
        if let Err(error) = tokens.replace_blocking(rejected, challenges, Some(max_wait)) {
            self.replacement_failed(&error);
        }
    }

    /// Logs that a request is not sent again because there is no token for it. Its last response is then returned (R6).
    ///
    /// The log has one such event per minute; the metric counts all.
    pub fn will_not_retry(&self, error: &Error) {
        let limit = &self.budget.retries_without_token;
        events::retry_without_token(error, limit.admit(self.clock().elapsed()));
    }

    /// The clock of the token cache, by which all times count.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &**self.tokens.clock()
    }

    /// The time in which further attempts of a request may begin, and so the longest wait for a token.
    #[must_use]
    pub fn max_wait(&self, exchange: &Exchange) -> Duration {
        exchange.max_wait(self.clock().elapsed())
    }

    fn now(&self) -> Now {
        let clock = self.clock();
        Now {
            elapsed: clock.elapsed(),
            wall: clock.coarse_time().wall_time(),
            jitter: fastrand::f64(),
        }
    }

    fn logged(&self, replaced: Result<Lease, Error>) -> Option<Lease> {
        match replaced {
            Ok(lease) => {
                events::replayed();
                Some(lease)
            }
            Err(error) => {
                self.replacement_failed(&error);
                None
            }
        }
    }

    fn replacement_failed(&self, error: &Error) {
        let limit = &self.budget.failed_replacements;
        events::replacement_failed(error, limit.admit(self.clock().elapsed()));
    }

    fn checked(&self, lease: Result<Lease, Error>) -> Result<Lease, Error> {
        if let (Some(proof), Ok(lease)) = (&self.proof, &lease) {
            proof.check(lease.token())?;
        }
        lease
    }
}

impl Credential<'_> {
    /// The proof for the attempt, as the sensitive value of the header field `DPoP`; `None` for a bearer token.
    #[must_use]
    pub fn proof(&self) -> Option<&HeaderValue> {
        self.proof.as_ref()
    }

    /// Sets it on the headers of a request, in place of any other credential (R9).
    pub fn apply(self, headers: &mut HeaderMap) {
        self.lease.apply(headers);
        if let Some(proof) = self.proof
            && headers.insert(DPOP, proof).is_some()
        {
            events::credential_overridden(&DPOP);
        }
    }
}

impl<'a> From<&'a Url> for Target<'a> {
    fn from(url: &'a Url) -> Self {
        Self::Url(url)
    }
}

impl<'a> From<&'a Uri> for Target<'a> {
    fn from(uri: &'a Uri) -> Self {
        Self::Uri(uri)
    }
}

impl<'a> From<&'a Origin> for Target<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self::Origin(origin)
    }
}
