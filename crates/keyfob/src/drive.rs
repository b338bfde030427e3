//! The loop of every face that sends by itself: authorize, send, judge, again?
//!
//! It obeys an [`Exchange`] and makes no rules. A face says how one attempt is sent, and what came of it.

use std::future::Future;

use crate::authenticator::Authenticator;
use crate::cache::Lease;
use crate::exchange::Exchange;
use crate::exchange::Outcome;
use crate::exchange::Step;

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

/// Sends a request until its exchange is done; the last answer or failure as it was (R6).
pub(crate) async fn drive<A: Attempts>(
    exchange: &mut Exchange,
    mut lease: Lease,
    attempts: &mut A,
) -> Result<A::Answer, A::Failure> {
    loop {
        let result = attempts.send(&lease).await;
        let (outcome, authenticator) = (attempts.outcome(&result), attempts.authenticator());
        if let Outcome::Answer(status, headers) = outcome {
            authenticator.learn(|| attempts.url(), status, headers);
        }
        let step = exchange.judge(outcome, || authenticator.now());
        if let Step::Done = step {
            return result;
        }
        // A request's future shall not carry the room for what is rare.
        lease = match Box::pin(prepare(attempts.authenticator(), exchange, &lease, step)).await {
            Some(another) => another,
            None => return result,
        };
    }
}

/// The credential of the next attempt; `None` if there is none, neither attempt nor credential.
async fn prepare(
    authenticator: &Authenticator,
    exchange: &Exchange,
    lease: &Lease,
    step: Step,
) -> Option<Lease> {
    let tokens = authenticator.tokens();
    let clock = authenticator.clock();
    let patience = || exchange.patience(clock.elapsed());
    match step {
        Step::Done => None,
        Step::Wait(pause, cause) => {
            authenticator.will_retry(cause, pause);
            clock.sleep(pause).await;
            let another = tokens.lease(Some(patience())).await;
            another
                .inspect_err(|error| authenticator.will_not_retry(error))
                .ok()
        }
        Step::Renew(challenges) => authenticator.replace(lease, &challenges, patience()).await,
        Step::Reject(challenges) => {
            tokens.reject(lease, &challenges);
            None
        }
    }
}
