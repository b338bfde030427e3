//! The state machine of one logical request. It does no input or output: it is given what happened, and returns a step.
//!
//! Every client drives this machine: the sessions, the tower layer, the middleware and the Python package. So each rule
//! about the credential, renewals, retries and redirects is written here once, and tested without a network or a clock.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, StatusCode};

#[cfg(test)]
mod tests;

use crate::error::error::{Error, ErrorKind};
use crate::exchange::budget::RetryBudget;
use crate::exchange::challenge::Challenges;
use crate::exchange::outcome::{Idempotency, Outcome, Replay, Retryable};
use crate::exchange::proof::DPOP_NONCE;
use crate::exchange::redirect::{OnRedirect, Redirect, RedirectBody, follow};
use crate::exchange::rejection::{GRPC_STATUS, RejectedStatuses};
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::Origin;

/// One logical request: what has happened to its attempts, and what may still be done.
///
/// [`Authenticator::begin`](crate::custom_client::Authenticator::begin) makes one. The client sends an attempt, has its
/// outcome [judged](crate::custom_client::Authenticator::judge), and does what the [`Step`] says. Module
/// [`custom_client`](crate::custom_client) has an example.
#[derive(Debug)]
pub struct Exchange {
    policy: Arc<RetryPolicy>,
    budget: Arc<RetryBudget>,
    idempotency: Idempotency,
    body: Replay,
    /// No attempt begins after this time of [`Clock::elapsed`](crate::clock::Clock::elapsed).
    deadline: Duration,
    /// Failed attempts. A response that redirects is not a failure.
    failures: u32,
    retries: u32,
    renewal: Renewal,
    nonce: Nonce,
    credential: Credential,
    rejected: RejectedStatuses,
    redirects_left: Option<u32>,
}

/// Whether the server rejected the token, so that it was renewed (R3). It is renewed once for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    None,
    /// The request was sent again with another token.
    Replayed,
    /// It could not be sent again.
    NotReplayed,
}

/// Whether the server may still ask for another nonce in the proof of possession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nonce {
    /// Attempts carry no proof.
    Unused,
    NotRequested,
    Requested,
}

/// Whether attempts carry the credential (R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credential {
    Carried,
    /// They carry one that the caller set.
    CallersOwn,
    /// A redirect led to another origin. The credential is never put back.
    LeftBehind,
}

/// The time and the randomness that a decision needs.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time of [`Clock::elapsed`](crate::clock::Clock::elapsed).
    pub elapsed: Duration,
    /// The wall clock time, against which a date in `Retry-After` is read.
    pub wall: SystemTime,
    /// A random number from 0 to 1.
    pub jitter: f64,
}

/// What the client has to do next.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the exchange relies on the client to do what a step says"]
pub enum Step {
    /// Give the caller the response or failure in hand.
    Done,
    /// Pause, then send again. The text is the reason, for logs and metrics.
    Wait(Duration, &'static str),
    /// Get another token and send again. If there is none, give the caller the response in hand.
    Renew(Challenges),
    /// Get another token for the requests to come, and only then give the caller the response in hand.
    ///
    /// The body cannot be sent again by the client, but the caller may make it again at once, and then needs that token.
    Reject(Challenges),
    /// Change the request as the redirect says, and send it.
    Follow(Box<Redirect>),
}

impl Exchange {
    /// How many redirects are followed, unless set.
    pub const REDIRECTS: u32 = 10;

    /// A request that begins at this time of [`Clock::elapsed`](crate::clock::Clock::elapsed).
    pub(crate) fn new(
        policy: Arc<RetryPolicy>,
        budget: Arc<RetryBudget>,
        idempotency: Idempotency,
        body: Replay,
        now: Duration,
    ) -> Self {
        Self {
            deadline: now.saturating_add(policy.total_time()),
            policy,
            budget,
            idempotency,
            body,
            failures: 0,
            retries: 0,
            renewal: Renewal::None,
            nonce: Nonce::Unused,
            credential: Credential::Carried,
            rejected: RejectedStatuses::default(),
            redirects_left: Some(Self::REDIRECTS),
        }
    }

    /// The same request, whose attempts carry a proof of possession (RFC 9449).
    pub(crate) fn with_proofs(mut self) -> Self {
        self.nonce = Nonce::NotRequested;
        self
    }

    /// The same request, for a server that rejects the credential with these statuses too.
    pub(crate) fn with_rejected_statuses(mut self, statuses: RejectedStatuses) -> Self {
        self.rejected = statuses;
        self
    }

    /// Sets how many redirects are followed; [`REDIRECTS`](Self::REDIRECTS) unless set.
    ///
    /// With zero, a redirect is returned to the caller. With more, a redirect beyond the limit is an error.
    #[must_use]
    pub fn redirects(mut self, limit: u32) -> Self {
        self.redirects_left = (limit > 0).then_some(limit);
        self
    }

    /// Whether the next attempt carries the cache's credential; `false` after a redirect to another origin (R1).
    #[must_use]
    pub fn carries_credential(&self) -> bool {
        self.credential == Credential::Carried
    }

    /// Whether this outcome shows that a server accepts the token that replaced a rejected one.
    pub(crate) fn replacement_is_accepted(&self, outcome: &Outcome<'_>) -> bool {
        self.renewal != Renewal::None
            && self.carries_credential()
            && matches!(outcome, Outcome::Response(status, headers) if !self.rejected.refuse(*status, headers))
    }

    /// The time that is left for further attempts, and so the longest wait for a token.
    #[must_use]
    pub fn max_wait(&self, now: Duration) -> Duration {
        self.deadline.saturating_sub(now)
    }

    /// The header fields that judging a response with this status reads.
    ///
    /// For clients that would have to convert the other fields for nothing.
    pub fn judged_fields(&self, status: StatusCode) -> impl Iterator<Item = HeaderName> + use<> {
        let retry_after = self.policy.retries(status).then_some(RETRY_AFTER);
        let challenges = (!status.is_success()).then_some(WWW_AUTHENTICATE);
        let nonce = (self.nonce != Nonce::Unused).then_some(DPOP_NONCE);
        let location = status.is_redirection().then_some(LOCATION);
        [Some(GRPC_STATUS), retry_after, challenges, nonce, location]
            .into_iter()
            .flatten()
    }

    /// Records that the attempts carry a credential that the caller set, and not the cache's.
    ///
    /// A 401 then says nothing about the cache's token, and leads to no renewal. On a redirect to another origin the
    /// caller's credential is left behind like any other.
    pub fn use_callers_credential(&mut self) {
        if self.credential == Credential::Carried {
            self.credential = Credential::CallersOwn;
        }
    }

    /// How often an attempt failed and the request was to be sent again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// The number of the attempt that follows a failure, and how many there are at most.
    pub(crate) fn next_attempt(&self) -> [u32; 2] {
        [self.failures + 1, self.policy.attempts_at_most()]
    }

    /// Whether the server rejected the token, so that it was renewed.
    #[must_use]
    pub fn renewed(&self) -> bool {
        self.renewal != Renewal::None
    }

    /// Whether the server rejected the token and the request could not be sent again with another one.
    #[must_use]
    pub fn could_not_replay(&self) -> bool {
        self.renewal == Renewal::NotReplayed
    }

    /// Records that the request must not be sent again.
    ///
    /// Because it is unknown what was sent last, as for clients whose HTTP client has followed a redirect by itself, or
    /// because the body can no longer be made.
    pub fn forbid_replay(&mut self) {
        self.body = Replay::Impossible;
    }

    /// Records that no attempt from here on carries a credential.
    pub fn leave_credential(&mut self) {
        self.credential = Credential::LeftBehind;
    }

    /// Records a redirect that the HTTP client below follows by itself, and returns whether the credential still goes.
    ///
    /// For clients that cannot leave redirects to a [`Step::Follow`]. Call it with the origins of the two URLs that the
    /// HTTP client uses, before the request is sent on. On `false`, remove each field of the credential.
    pub fn redirected(&mut self, from: &Origin, to: &Origin, body: RedirectBody) -> bool {
        if from != to {
            self.leave_credential();
        }
        if body == RedirectBody::Dropped {
            // A redirect that drops the body makes the request a GET or HEAD.
            self.idempotency = Idempotency::Idempotent;
            self.body = Replay::Possible;
        }
        self.credential != Credential::LeftBehind
    }

    /// Decides what follows on the outcome of an attempt.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Redirect`] if the limit of redirects is reached.
    pub(crate) fn judge(
        &mut self,
        outcome: Outcome<'_>,
        on_redirect: OnRedirect<'_>,
        now: impl FnOnce() -> Now,
    ) -> Result<Step, Error> {
        match outcome {
            Outcome::Response(status, headers)
                if self.carries_credential() && self.rejected.refuse(status, headers) =>
            {
                Ok(self.refused(headers, now))
            }
            Outcome::Response(status, headers)
                if self.policy.retries(status) && !asks_for_more(headers) =>
            {
                Ok(self.failed(&Retryable::response(status, headers), now))
            }
            Outcome::Response(status, headers) => {
                if self.failures == 0 {
                    self.budget.deposit();
                }
                match on_redirect {
                    OnRedirect::Follow(method, url) if status.is_redirection() => {
                        self.follow(follow(method, url, status, headers))
                    }
                    _ => Ok(Step::Done),
                }
            }
            Outcome::Failure(failure) => Ok(Retryable::failure(failure)
                .map_or(Step::Done, |retryable| self.failed(&retryable, now))),
        }
    }

    fn failed(&mut self, retryable: &Retryable, now: impl FnOnce() -> Now) -> Step {
        self.failures += 1;
        if self.failures >= self.policy.attempts_at_most() || self.body == Replay::Impossible {
            return Step::Done;
        }
        if self.idempotency == Idempotency::NotIdempotent && !retryable.unprocessed {
            return Step::Done;
        }
        let now = now();
        let retry_after = retryable.retry_after.map(|after| after.wait(now.wall));
        // Without jitter, all clients that got the same `Retry-After` would return at the same moment.
        let jitter = self.policy.pause(self.failures, retryable.cost, now.jitter);
        let pause = retry_after.unwrap_or_default().saturating_add(jitter);
        if now.elapsed.saturating_add(pause) >= self.deadline
            || !self.budget.withdraw(retryable.cost)
        {
            return Step::Done;
        }
        self.retries += 1;
        Step::Wait(pause, retryable.cause)
    }

    /// R3. A new token may help after `invalid_token`, but not if the server asks for more than the user has granted.
    fn refused(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Now) -> Step {
        let challenges = Challenges::from_headers(headers);
        if self.nonce != Nonce::Unused {
            if challenges.use_dpop_nonce() {
                return self.prove_again(headers, now);
            }
            // "invalid_dpop_proof": the proof is at fault, and not the token (RFC 9449 §12.2).
            if challenges.invalid_dpop_proof() {
                return Step::Done;
            }
        }
        if self.renewal != Renewal::None || challenges.ask_for_more() {
            return Step::Done;
        }
        match self.body {
            Replay::Possible => {
                self.renewal = Renewal::Replayed;
                Step::Renew(challenges)
            }
            Replay::Impossible => {
                self.renewal = Renewal::NotReplayed;
                Step::Reject(challenges)
            }
        }
    }

    /// Sends the same token with the nonce of this response (RFC 9449 §9), but only once for each request.
    fn prove_again(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Now) -> Step {
        let before = mem::replace(&mut self.nonce, Nonce::Requested);
        if before == Nonce::Requested || self.body == Replay::Impossible {
            return Step::Done;
        }
        if !headers.contains_key(DPOP_NONCE) || now().elapsed >= self.deadline {
            return Step::Done;
        }
        Step::Wait(Duration::ZERO, "dpop nonce")
    }

    fn follow(&mut self, redirect: Option<Redirect>) -> Result<Step, Error> {
        let (Some(left), Some(redirect)) = (self.redirects_left, redirect) else {
            return Ok(Step::Done);
        };
        if self.body == Replay::Impossible && redirect.body() == RedirectBody::Kept {
            // The body is gone, so the caller gets the response that asks for it again.
            return Ok(Step::Done);
        }
        let left = left.checked_sub(1).ok_or_else(|| {
            Error::new(
                ErrorKind::Redirect,
                "the server redirects again and again; check the URL, or allow more with `redirects`",
            )
        })?;
        self.redirects_left = Some(left);
        self.redirected(redirect.from(), redirect.to(), redirect.body());
        Ok(Step::Follow(Box::new(redirect)))
    }
}

/// Whether a retry would be refused too, although the policy names the status.
fn asks_for_more(headers: &HeaderMap) -> bool {
    headers.contains_key(WWW_AUTHENTICATE) && Challenges::from_headers(headers).ask_for_more()
}
