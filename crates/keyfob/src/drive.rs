//! The loop of every face that sends by itself: authorize, send, judge, again?
//!
//! It obeys an [`Exchange`] and makes no rules. A face says how one attempt is sent, and what came of it.

use std::future::Future;
use std::time::Duration;

use crate::authenticator::Authenticator;
use crate::cache::Lease;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::Outcome;
use crate::exchange::Step;

/// How a face sends its request.
pub(crate) trait Attempts {
    type Answer;
    type Failure;

    /// Sends the request with this credential on it (R7).
    fn send(
        &mut self,
        lease: &Lease,
    ) -> impl Future<Output = Result<Self::Answer, Self::Failure>> + Send;

    /// What the exchange is told of an attempt.
    fn outcome<'a>(&self, result: &'a Result<Self::Answer, Self::Failure>) -> Outcome<'a>;
}

/// Sends a request, whose exchange has begun just now, until that is done; the last answer or failure as it was (R6).
///
/// # Errors
///
/// If there is no credential to send it with (R2).
pub(crate) async fn drive<A: Attempts>(
    authenticator: &Authenticator,
    mut exchange: Exchange,
    now: Duration,
    attempts: &mut A,
) -> Result<Result<A::Answer, A::Failure>, Error> {
    let tokens = authenticator.tokens();
    let clock = authenticator.clock();
    let patience = |exchange: &Exchange| exchange.patience(clock.elapsed());
    let mut lease = tokens.lease(Some(exchange.patience(now))).await?;
    loop {
        let result = attempts.send(&lease).await;
        let outcome = attempts.outcome(&result);
        match exchange.judge(outcome, || authenticator.now()) {
            Step::Done => return Ok(result),
            Step::Wait(pause, cause) => {
                authenticator.will_retry(cause, pause);
                clock.sleep(pause).await;
                match tokens.lease(Some(patience(&exchange))).await {
                    Ok(another) => lease = another,
                    Err(error) => {
                        authenticator.will_not_retry(&error);
                        return Ok(result);
                    }
                }
            }
            Step::Renew(challenges) => {
                let patience = patience(&exchange);
                match authenticator.replace(&lease, &challenges, patience).await {
                    Some(another) => lease = another,
                    None => return Ok(result),
                }
            }
            Step::Reject(challenges) => {
                tokens.reject(&lease, &challenges);
                return Ok(result);
            }
        }
    }
}
