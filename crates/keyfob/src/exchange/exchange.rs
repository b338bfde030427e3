//! One logical request as a state machine without I/O: it is told what happened, and answers with the next step.
//!
//! Every face drives this machine and obeys it: the sessions, the tower layer, the middleware. So a rule about renewing or
//! retrying stands once, here, and is tested without a network or a clock.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

#[cfg(test)]
mod tests;

use crate::exchange::challenge::Challenges;
use crate::exchange::retry::{Cost, RetryPolicy, is_idempotent};
use crate::exchange::retry_after::RetryAfter;

/// A client's promise that a request has its effect once however often it is sent.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The field that tells the nonce of the next proof (RFC 9449 §8.2).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How a gRPC call ended, as a name that was parsed once.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// One logical request: the attempts that have failed, and what may still be done.
///
/// Whoever drives it sends the request, [judges](Self::judge) what came of it, and obeys the [`Step`]. Each attempt is
/// authorized anew. Module [`unstable`](crate::client::custom_client) has an example.
#[derive(Debug)]
pub struct Exchange {
    policy: Arc<RetryPolicy>,
    effect: Idempotency,
    body: Replay,
    deadline: Duration,
    /// Of attempts; a redirect on the way is none.
    failures: u32,
    healed: bool,
    nonce: Nonce,
}

/// Whether the server may still ask for another nonce in the proof of possession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nonce {
    /// No attempt carries a proof.
    Unused,
    Unasked,
    Asked,
}

/// Whether sending a request twice has the effect of sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// It has; the request is retried whenever that may help.
    Idempotent,
    /// It has not; the request is retried only if the server cannot have processed it.
    NotIdempotent,
}

/// Whether the body can be sent again in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It can; also said of a request without a body.
    Possible,
    /// It can be read once only.
    Impossible,
}

/// What came of an attempt, as the exchange is told.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The head of an answer, whatever its status.
    Response(StatusCode, &'a HeaderMap),
    /// No answer.
    Failure(Failure),
}

/// Why an attempt to send a request brought no answer, and so whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection; nothing was sent. Retried whatever the method.
    Connect,
    /// Not in time; the server may have seen the request. Retried if the request is idempotent.
    Timeout,
    /// The connection broke; the server may have seen the request. Retried if the request is idempotent.
    Broken,
    /// Something that sending again would not mend, such as a certificate that is not trusted. Not retried.
    Final,
}

/// What a decision about a pause needs to know: the time of both clocks, and a number drawn from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What [`Clock::elapsed`](crate::clock::Clock::elapsed) says.
    pub elapsed: Duration,
    /// The wall clock, against which a date in `Retry-After` is read.
    pub wall: SystemTime,
    /// The random number.
    pub jitter: f64,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the exchange counts on being obeyed"]
pub enum Step {
    /// Give the caller what is in hand.
    Done,
    /// Pause, then send again; the text says why, for logs and metrics.
    Wait(Duration, &'static str),
    /// Get another token and, if there is one, send again; otherwise give the caller what is in hand.
    Renew(Challenges),
    /// Report the token as rejected, and give the caller what is in hand.
    Reject(Challenges),
}

impl Exchange {
    /// A request that begins now, by [`Clock::elapsed`](crate::clock::Clock::elapsed); the policy's total time runs from here.
    #[must_use]
    pub fn new(policy: Arc<RetryPolicy>, effect: Idempotency, body: Replay, now: Duration) -> Self {
        let deadline = now.saturating_add(policy.total_time());
        Self {
            policy,
            effect,
            body,
            deadline,
            failures: 0,
            healed: false,
            nonce: Nonce::Unused,
        }
    }

    /// The same request, each of whose attempts carries a proof of possession (RFC 9449).
    #[must_use]
    pub fn with_proofs(mut self) -> Self {
        self.nonce = Nonce::Unasked;
        self
    }

    /// The time that is left of the total: how long to wait for a token at most.
    #[must_use]
    pub fn max_wait(&self, now: Duration) -> Duration {
        self.deadline.saturating_sub(now)
    }

    /// A redirect turned the request into one without a body that changes nothing.
    pub fn downgrade_to_get(&mut self) {
        self.effect = Idempotency::Idempotent;
        self.body = Replay::Possible;
    }

    /// The fields that [`judge`](Self::judge) reads in an answer with this status, for faces that would have to convert the others
    /// in vain.
    pub fn judged_fields(&self, status: StatusCode) -> impl Iterator<Item = HeaderName> + use<> {
        let retry_after = self.policy.retries(status).then_some(RETRY_AFTER);
        let challenges = (status == StatusCode::UNAUTHORIZED).then_some(WWW_AUTHENTICATE);
        let nonce = (self.nonce != Nonce::Unused).then_some(DPOP_NONCE);
        [Some(GRPC_STATUS), retry_after, challenges, nonce]
            .into_iter()
            .flatten()
    }

    /// Judges an answer to a request that carried a credential.
    pub fn judge(&mut self, outcome: Outcome<'_>, now: impl FnOnce() -> Now) -> Step {
        match outcome {
            Outcome::Response(status, headers) if refuses_credential(status, headers) => {
                self.refused(headers, now)
            }
            _ => self.judge_without_credential(outcome, now),
        }
    }

    /// Judges an answer to a request that carried none, where a 401 says nothing about the session's token.
    pub fn judge_without_credential(
        &mut self,
        outcome: Outcome<'_>,
        now: impl FnOnce() -> Now,
    ) -> Step {
        let Some(fault) = self.fault(outcome) else {
            if self.failures == 0 && matches!(outcome, Outcome::Response(..)) {
                self.policy.budget().deposit();
            }
            return Step::Done;
        };
        self.failures += 1;
        if self.failures >= self.policy.attempts_at_most() || self.body == Replay::Impossible {
            return Step::Done;
        }
        if self.effect == Idempotency::NotIdempotent && !fault.unprocessed {
            return Step::Done;
        }
        let now = now();
        let asked_for = fault
            .retry_after
            .map(|retry_after| retry_after.wait(now.wall));
        // All who were told the same `Retry-After` would come back together without the jitter.
        let backoff = self.policy.pause(self.failures, fault.cost, now.jitter);
        let pause = asked_for.unwrap_or_default().saturating_add(backoff);
        if now.elapsed.saturating_add(pause) >= self.deadline {
            return Step::Done;
        }
        if !self.policy.budget().withdraw(fault.cost) {
            return Step::Done;
        }
        Step::Wait(pause, fault.cause)
    }

    /// RFC 6750 §3.1: `invalid_token` may be mended by a new token, `insufficient_scope` not.
    fn refused(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Now) -> Step {
        let challenges = Challenges::from_headers(headers);
        if self.nonce != Nonce::Unused {
            if challenges.use_dpop_nonce() {
                return self.prove_again(headers, now);
            }
            if challenges.invalid_dpop_proof() {
                return Step::Done;
            }
        }
        if self.healed || challenges.insufficient_scope() {
            return Step::Done;
        }
        self.healed = true;
        match self.body {
            Replay::Possible => Step::Renew(challenges),
            Replay::Impossible => Step::Reject(challenges),
        }
    }

    /// RFC 9449 §9: the token is fine, and the same request with the nonce of this answer may be as well.
    fn prove_again(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Now) -> Step {
        let asked = mem::replace(&mut self.nonce, Nonce::Asked);
        if asked == Nonce::Asked || self.body == Replay::Impossible {
            return Step::Done;
        }
        if !headers.contains_key(DPOP_NONCE) || now().elapsed >= self.deadline {
            return Step::Done;
        }
        Step::Wait(Duration::ZERO, "dpop nonce")
    }

    fn fault(&self, outcome: Outcome<'_>) -> Option<Fault> {
        match outcome {
            Outcome::Response(status, headers) => self
                .policy
                .retries(status)
                .then(|| Fault::of_answer(status, headers)),
            Outcome::Failure(failure) => Fault::of_failure(failure),
        }
    }
}

/// A failure that may be worth another attempt.
struct Fault {
    cause: &'static str,
    cost: Cost,
    /// The server did not process the request, or never got it.
    unprocessed: bool,
    retry_after: Option<RetryAfter>,
}

impl Fault {
    fn of_answer(status: StatusCode, headers: &HeaderMap) -> Self {
        let retry_after = RetryAfter::from_headers(headers);
        let throttled = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        Self {
            cause: "status",
            cost: if throttled {
                Cost::Throttled
            } else {
                Cost::Usual
            },
            unprocessed: throttled && retry_after.is_some(),
            retry_after,
        }
    }

    fn of_failure(failure: Failure) -> Option<Self> {
        let (cause, unprocessed) = match failure {
            Failure::Connect => ("connect", true),
            Failure::Timeout => ("timeout", false),
            Failure::Broken => ("broken connection", false),
            Failure::Final => return None,
        };
        Some(Self {
            cause,
            cost: Cost::Usual,
            unprocessed,
            retry_after: None,
        })
    }
}

impl Idempotency {
    /// What the method and an `Idempotency-Key` say about a request.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if is_idempotent(method) || headers.contains_key(IDEMPOTENCY_KEY) {
            Self::Idempotent
        } else {
            Self::NotIdempotent
        }
    }
}

/// HTTP says it with 401; gRPC with 200 and, where there is no message to follow, a header.
fn refuses_credential(status: StatusCode, headers: &HeaderMap) -> bool {
    const GRPC_UNAUTHENTICATED: &[u8] = b"16";
    status == StatusCode::UNAUTHORIZED
        || headers
            .get(&GRPC_STATUS)
            .is_some_and(|code| code.as_bytes() == GRPC_UNAUTHENTICATED)
}
