//! The loop of every face that sends by itself: authorize, send, judge, again?
//!
//! It obeys an [`Exchange`] and makes no rules. A face says how one attempt is sent, and what came of it.

use std::future::Future;

use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::exchange::exchange::{Exchange, Outcome, Step};

/// How a face sends its request.
pub(crate) trait Attempts {
    type Answer;
    type Failure;

    fn authenticator(&self) -> &Authenticator;

    /// Where the request goes, in full.
    fn url(&self) -> String;

    /// Sends the request with this credential on it (R7).
    fn send(
        &mut self,
        lease: &Lease,
    ) -> impl Future<Output = Result<Self::Answer, Self::Failure>> + Send;

    /// What the exchange is told of an attempt.
    fn outcome<'a>(&self, result: &'a Result<Self::Answer, Self::Failure>) -> Outcome<'a>;
}

/// What comes of a request whose first attempt brought this; the last answer or failure as it was (R6).
pub(crate) async fn conclude<A: Attempts>(
    exchange: &mut Exchange,
    lease: Lease,
    attempts: &mut A,
    result: Result<A::Answer, A::Failure>,
) -> Result<A::Answer, A::Failure> {
    let step = judge(exchange, attempts, &result);
    if let Step::Done = step {
        return result;
    }
    // A request's future shall not carry the room for what is rare.
    Box::pin(go_on(exchange, lease, attempts, result, step)).await
}

/// Obeys a step, and those that follow.
pub(crate) async fn go_on<A: Attempts>(
    exchange: &mut Exchange,
    mut lease: Lease,
    attempts: &mut A,
    mut result: Result<A::Answer, A::Failure>,
    mut step: Step,
) -> Result<A::Answer, A::Failure> {
    while let Some(another) = prepare(attempts.authenticator(), exchange, &lease, step).await {
        lease = another;
        result = attempts.send(&lease).await;
        step = judge(exchange, attempts, &result);
    }
    result
}

/// Says what to do with what came of an attempt.
pub(crate) fn judge<A: Attempts>(
    exchange: &mut Exchange,
    attempts: &A,
    result: &Result<A::Answer, A::Failure>,
) -> Step {
    let (outcome, authenticator) = (attempts.outcome(result), attempts.authenticator());
    if let Outcome::Response(status, headers) = outcome {
        authenticator.record_nonce(|| attempts.url(), status, headers);
    }
    exchange.judge(outcome, || authenticator.now())
}

/// The credential of the next attempt; `None` if there is none, neither attempt nor credential.
async fn prepare(
    authenticator: &Authenticator,
    exchange: &Exchange,
    lease: &Lease,
    step: Step,
) -> Option<Lease> {
    let clock = authenticator.clock();
    let max_wait = || exchange.max_wait(clock.elapsed());
    match step {
        Step::Done => None,
        Step::Wait(pause, cause) => {
            authenticator.will_retry(cause, pause);
            clock.sleep(pause).await;
            let another = authenticator.lease(max_wait()).await;
            another
                .inspect_err(|error| authenticator.will_not_retry(error))
                .ok()
        }
        Step::Renew(challenges) => authenticator.replace(lease, &challenges, max_wait()).await,
        Step::Reject(challenges) => {
            authenticator.tokens().reject(lease, &challenges);
            None
        }
    }
}
