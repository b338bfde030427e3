//! One logical request as a state machine without I/O: it is told what happened, and answers with the next step.
//!
//! Every face drives this machine and obeys it: the sessions, the tower layer, the middleware. So a rule about renewing or
//! retrying stands once, here, and is tested without a network or a clock.

use std::mem;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderName;
use http::Method;
use http::StatusCode;
use http::header::RETRY_AFTER;
use http::header::WWW_AUTHENTICATE;

use crate::challenge::Challenges;
use crate::retry::Cost;
use crate::retry::RetryPolicy;
use crate::retry::is_idempotent;
use crate::retry_after::RetryAfter;

/// A client's promise that a request has its effect once however often it is sent.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The field that tells the nonce of the next proof (RFC 9449 §8.2).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How a gRPC call ended, as a name that was parsed once.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// One logical request: the attempts that have failed, and what may still be done.
///
/// Whoever drives it sends the request, [judges](Self::judge) what came of it, and obeys the [`Step`]. Each attempt is
/// authorized anew. Module [`unstable`](crate::unstable) has an example.
#[derive(Debug)]
pub struct Exchange {
    policy: Arc<RetryPolicy>,
    effect: Effect,
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
pub enum Effect {
    /// It has; the request is retried whenever that may help.
    Once,
    /// It has not; the request is retried only if the server cannot have processed it.
    EachTime,
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
    Answer(StatusCode, &'a HeaderMap),
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
pub struct Moment {
    /// What [`Clock::elapsed`](crate::Clock::elapsed) says.
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
    /// A request that begins now, by [`Clock::elapsed`](crate::Clock::elapsed); the policy's total time runs from here.
    #[must_use]
    pub fn new(policy: Arc<RetryPolicy>, effect: Effect, body: Replay, now: Duration) -> Self {
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
    pub fn patience(&self, now: Duration) -> Duration {
        self.deadline.saturating_sub(now)
    }

    /// A redirect turned the request into one without a body that changes nothing.
    pub fn becomes_a_read(&mut self) {
        self.effect = Effect::Once;
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
    pub fn judge(&mut self, outcome: Outcome<'_>, now: impl FnOnce() -> Moment) -> Step {
        match outcome {
            Outcome::Answer(status, headers) if refuses_credential(status, headers) => {
                self.refused(headers, now)
            }
            _ => self.judge_without_credential(outcome, now),
        }
    }

    /// Judges an answer to a request that carried none, where a 401 says nothing about the session's token.
    pub fn judge_without_credential(
        &mut self,
        outcome: Outcome<'_>,
        now: impl FnOnce() -> Moment,
    ) -> Step {
        let Some(fault) = self.fault(outcome) else {
            if self.failures == 0 && matches!(outcome, Outcome::Answer(..)) {
                self.policy.budget().deposit();
            }
            return Step::Done;
        };
        self.failures += 1;
        if self.failures >= self.policy.attempts_at_most() || self.body == Replay::Impossible {
            return Step::Done;
        }
        if self.effect == Effect::EachTime && !fault.unprocessed {
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
    fn refused(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Moment) -> Step {
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
    fn prove_again(&mut self, headers: &HeaderMap, now: impl FnOnce() -> Moment) -> Step {
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
            Outcome::Answer(status, headers) => self
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

impl Effect {
    /// What the method and an `Idempotency-Key` say about a request.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if is_idempotent(method) || headers.contains_key(IDEMPOTENCY_KEY) {
            Self::Once
        } else {
            Self::EachTime
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: Moment = Moment {
        elapsed: Duration::from_secs(1000),
        wall: SystemTime::UNIX_EPOCH,
        jitter: 0.5,
    };

    fn exchange(effect: Effect, body: Replay) -> Exchange {
        Exchange::new(Arc::new(RetryPolicy::default()), effect, body, NOW.elapsed)
    }

    fn answer(
        exchange: &mut Exchange,
        status: u16,
        headers: &[(HeaderName, &'static str)],
    ) -> Step {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        exchange.judge(Outcome::Answer(status, &headers), || NOW)
    }

    fn waits(step: &Step) -> bool {
        matches!(step, Step::Wait(..))
    }

    #[test]
    fn every_field_that_judging_reads_is_named() {
        let exchange = exchange(Effect::Once, Replay::Possible);
        let named = |status| exchange.judged_fields(StatusCode::from_u16(status).unwrap());
        assert!(named(200).eq([GRPC_STATUS]));
        assert!(named(401).eq([GRPC_STATUS, WWW_AUTHENTICATE]));
        assert!(named(503).eq([GRPC_STATUS, RETRY_AFTER]));
        let proving = exchange.with_proofs();
        let named = |status| proving.judged_fields(StatusCode::from_u16(status).unwrap());
        assert!(named(200).eq([GRPC_STATUS, DPOP_NONCE]));
        assert!(named(401).eq([GRPC_STATUS, WWW_AUTHENTICATE, DPOP_NONCE]));
    }

    #[test]
    fn r4_idempotent_requests_are_retried_on_transient_statuses() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(
                waits(&answer(
                    &mut exchange(Effect::Once, Replay::Possible),
                    status,
                    &[]
                )),
                "{status}"
            );
        }
        for status in [200, 301, 400, 403, 404, 409, 410, 418, 501, 505] {
            assert_eq!(
                answer(&mut exchange(Effect::Once, Replay::Possible), status, &[]),
                Step::Done,
                "{status}"
            );
        }
    }

    #[test]
    fn r4_post_is_sent_once_unless_the_server_says_it_was_not_processed() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(
                answer(
                    &mut exchange(Effect::EachTime, Replay::Possible),
                    status,
                    &[]
                ),
                Step::Done
            );
        }
        for status in [429, 503] {
            let mut post = exchange(Effect::EachTime, Replay::Possible);
            assert!(
                waits(&answer(&mut post, status, &[(RETRY_AFTER, "1")])),
                "{status}"
            );
        }
        let mut post = exchange(Effect::EachTime, Replay::Possible);
        assert_eq!(answer(&mut post, 500, &[(RETRY_AFTER, "1")]), Step::Done);
    }

    #[test]
    fn r4_only_a_connection_that_was_never_made_is_retried_for_any_method() {
        for (failure, once, each_time) in [
            (Failure::Connect, true, true),
            (Failure::Timeout, true, false),
            (Failure::Broken, true, false),
            (Failure::Final, false, false),
        ] {
            for (effect, retried) in [(Effect::Once, once), (Effect::EachTime, each_time)] {
                let mut exchange = exchange(effect, Replay::Possible);
                let step = exchange.judge(Outcome::Failure(failure), || NOW);
                assert_eq!(waits(&step), retried, "{failure:?} {effect:?}");
            }
        }
    }

    #[test]
    fn r4_a_body_that_cannot_be_replayed_is_never_sent_again() {
        let mut once = exchange(Effect::Once, Replay::Impossible);
        assert_eq!(answer(&mut once, 503, &[(RETRY_AFTER, "0")]), Step::Done);
        let mut connect = exchange(Effect::Once, Replay::Impossible);
        assert_eq!(
            connect.judge(Outcome::Failure(Failure::Connect), || NOW),
            Step::Done
        );
    }

    #[test]
    fn r4_an_idempotency_key_makes_a_post_repeatable() {
        let mut headers = HeaderMap::new();
        assert_eq!(Effect::of(&Method::POST, &headers), Effect::EachTime);
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("8e03978e"));
        assert_eq!(Effect::of(&Method::POST, &headers), Effect::Once);
    }

    #[test]
    fn r5_retries_end_after_the_last_attempt() {
        let mut exchange = exchange(Effect::Once, Replay::Possible);
        let steps: Vec<_> = (0..4)
            .map(|_| waits(&answer(&mut exchange, 503, &[])))
            .collect();
        assert_eq!(steps, [true, true, true, false]);
    }

    #[test]
    fn r5_retry_after_is_honoured_if_it_fits_and_else_the_answer_is_returned_now() {
        let mut fits = exchange(Effect::Once, Replay::Possible);
        match answer(&mut fits, 503, &[(RETRY_AFTER, "30")]) {
            Step::Wait(pause, _) => assert!(pause >= Duration::from_secs(30), "{pause:?}"),
            step => panic!("{step:?}"),
        }
        for too_long in [
            "91",
            "315360000",
            "99999999999999999999",
            "Fri, 31 Dec 2100 23:59:59 GMT",
        ] {
            let mut exchange = exchange(Effect::Once, Replay::Possible);
            assert_eq!(
                answer(&mut exchange, 503, &[(RETRY_AFTER, too_long)]),
                Step::Done,
                "{too_long}"
            );
        }
    }

    #[test]
    fn r5_a_retry_after_that_is_nonsense_counts_as_none() {
        for nonsense in ["soon", "-1", "1.5", ""] {
            let mut get = exchange(Effect::Once, Replay::Possible);
            assert!(waits(&answer(&mut get, 503, &[(RETRY_AFTER, nonsense)])));
            let mut post = exchange(Effect::EachTime, Replay::Possible);
            assert_eq!(
                answer(&mut post, 503, &[(RETRY_AFTER, nonsense)]),
                Step::Done
            );
        }
    }

    #[test]
    fn r5_the_budget_is_shared_between_requests() {
        let policy = Arc::new(RetryPolicy::default());
        let retried = (0..1000)
            .filter(|_| {
                let mut exchange = Exchange::new(
                    Arc::clone(&policy),
                    Effect::Once,
                    Replay::Possible,
                    NOW.elapsed,
                );
                waits(&answer(&mut exchange, 500, &[]))
            })
            .count();
        assert!(retried < 50, "{retried}");
    }

    #[test]
    fn r3_a_401_renews_once() {
        let mut exchange = exchange(Effect::EachTime, Replay::Possible);
        assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
        assert_eq!(answer(&mut exchange, 401, &[]), Step::Done);
    }

    #[test]
    fn r3_insufficient_scope_does_not_renew() {
        let mut exchange = exchange(Effect::Once, Replay::Possible);
        let challenge = [(
            WWW_AUTHENTICATE,
            "Bearer error=\"insufficient_scope\", scope=\"admin\"",
        )];
        assert_eq!(answer(&mut exchange, 401, &challenge), Step::Done);
    }

    #[test]
    fn r3_a_401_to_a_body_that_is_gone_is_reported_but_not_replayed() {
        let mut exchange = exchange(Effect::Once, Replay::Impossible);
        assert!(matches!(answer(&mut exchange, 401, &[]), Step::Reject(_)));
    }

    #[test]
    fn r3_a_401_where_no_credential_was_sent_says_nothing_about_it() {
        let mut exchange = exchange(Effect::Once, Replay::Possible);
        let unauthorized = Outcome::Answer(StatusCode::UNAUTHORIZED, &HeaderMap::new());
        assert_eq!(
            exchange.judge_without_credential(unauthorized, || NOW),
            Step::Done
        );
    }

    const USE_NONCE: [(HeaderName, &str); 2] = [
        (WWW_AUTHENTICATE, "DPoP error=\"use_dpop_nonce\""),
        (DPOP_NONCE, "eyJ7S_zG"),
    ];

    fn proving(effect: Effect, body: Replay) -> Exchange {
        exchange(effect, body).with_proofs()
    }

    #[test]
    fn r3_a_proof_that_needs_a_nonce_is_made_again_once_and_the_token_is_kept() {
        let mut exchange = proving(Effect::EachTime, Replay::Possible);
        let again = Step::Wait(Duration::ZERO, "dpop nonce");
        assert_eq!(answer(&mut exchange, 401, &USE_NONCE), again);
        assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
        // Neither was a rejection of the token.
        assert!(matches!(answer(&mut exchange, 401, &[]), Step::Renew(_)));
    }

    #[test]
    fn r3_a_nonce_after_a_renewal_is_obeyed_too() {
        let mut exchange = proving(Effect::Once, Replay::Possible);
        let invalid = [(WWW_AUTHENTICATE, "DPoP error=\"invalid_token\"")];
        assert!(matches!(
            answer(&mut exchange, 401, &invalid),
            Step::Renew(_)
        ));
        assert!(waits(&answer(&mut exchange, 401, &USE_NONCE)));
        assert_eq!(answer(&mut exchange, 401, &invalid), Step::Done);
    }

    #[test]
    fn r4_a_body_that_is_gone_is_not_sent_again_with_a_nonce_and_no_token_is_rejected() {
        let mut exchange = proving(Effect::Once, Replay::Impossible);
        assert_eq!(answer(&mut exchange, 401, &USE_NONCE), Step::Done);
    }

    #[test]
    fn r5_a_nonce_that_is_not_given_or_comes_too_late_is_not_waited_for() {
        let mut without = proving(Effect::Once, Replay::Possible);
        assert_eq!(answer(&mut without, 401, &USE_NONCE[..1]), Step::Done);
        let mut late = proving(Effect::Once, Replay::Possible);
        late.deadline = NOW.elapsed;
        assert_eq!(answer(&mut late, 401, &USE_NONCE), Step::Done);
    }

    #[test]
    fn r5_a_nonce_costs_no_attempt_of_the_retries() {
        let mut exchange = proving(Effect::Once, Replay::Possible);
        let mut answers = vec![answer(&mut exchange, 401, &USE_NONCE)];
        answers.extend((0..4).map(|_| answer(&mut exchange, 503, &[])));
        let sent_again: Vec<_> = answers.iter().map(waits).collect();
        assert_eq!(sent_again, [true, true, true, true, false]);
    }

    #[test]
    fn r3_a_refused_proof_does_not_renew_the_token() {
        let refused = [(WWW_AUTHENTICATE, "DPoP error=\"invalid_dpop_proof\"")];
        let mut exchange = proving(Effect::Once, Replay::Possible);
        assert_eq!(answer(&mut exchange, 401, &refused), Step::Done);
    }

    #[test]
    fn r3_without_proofs_a_challenge_of_dpop_is_one_like_others() {
        for error in ["use_dpop_nonce", "invalid_dpop_proof"] {
            let challenge = format!("DPoP error=\"{error}\"");
            let headers = HeaderMap::from_iter([
                (WWW_AUTHENTICATE, HeaderValue::try_from(challenge).unwrap()),
                (DPOP_NONCE, HeaderValue::from_static("n")),
            ]);
            let outcome = Outcome::Answer(StatusCode::UNAUTHORIZED, &headers);
            let step = exchange(Effect::Once, Replay::Possible).judge(outcome, || NOW);
            assert!(matches!(step, Step::Renew(_)), "{error}");
        }
    }

    #[test]
    fn r3_grpc_says_unauthenticated_with_a_status_of_its_own() {
        let mut exchange = exchange(Effect::EachTime, Replay::Possible);
        let grpc_status = HeaderName::from_static("grpc-status");
        assert!(matches!(
            answer(&mut exchange, 200, &[(grpc_status, "16")]),
            Step::Renew(_)
        ));
    }

    #[test]
    fn r8_the_patience_shrinks_with_time() {
        let exchange = exchange(Effect::Once, Replay::Possible);
        assert_eq!(exchange.patience(NOW.elapsed), RetryPolicy::TOTAL);
        assert_eq!(
            exchange.patience(NOW.elapsed + RetryPolicy::TOTAL * 2),
            Duration::ZERO
        );
    }
}
