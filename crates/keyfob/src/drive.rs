//! The loop of every face that sends by itself: authorize, send, judge, again?
//!
//! It obeys an [`Exchange`] and makes no rules. A face says how one attempt is sent, and what came of it.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::future::Either;
use futures_util::future::select;
use std::pin::pin;

use crate::authenticator::Authenticator;
use crate::cache::Lease;
use crate::clock::Clock;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::exchange::Exchange;
use crate::exchange::Outcome;
use crate::exchange::Step;
use crate::observe;

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

/// Sends a request until its exchange is done; the last answer or failure as it was (R6).
///
/// # Errors
///
/// If there is no credential to send it with (R2).
pub(crate) async fn drive<A: Attempts>(
    authenticator: &Authenticator,
    mut exchange: Exchange,
    mut attempts: A,
) -> Result<Result<A::Answer, A::Failure>, Error> {
    let tokens = authenticator.tokens();
    let clock = authenticator.clock();
    let patience = |exchange: &Exchange| exchange.patience(clock.elapsed());
    let mut lease = tokens.lease(Some(patience(&exchange))).await?;
    loop {
        let result = attempts.send(&lease).await;
        let outcome = attempts.outcome(&result);
        match exchange.judge(outcome, authenticator.now(), fastrand::f64()) {
            Step::Done => return Ok(result),
            Step::Wait(pause, cause) => {
                observe::retried(cause, pause);
                drop(result);
                clock.sleep(pause).await;
                lease = tokens.lease(Some(patience(&exchange))).await?;
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

/// Waits for an answer for so long (R8); `None` if that passes.
pub(crate) async fn within<T>(
    limit: Duration,
    clock: &dyn Clock,
    answer: impl Future<Output = T>,
) -> Option<T> {
    // Nobody waits that long, and some timers cannot count so far.
    if limit == Duration::MAX {
        return Some(answer.await);
    }
    match select(pin!(answer), clock.sleep(limit)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}

/// The error of an attempt that was not answered in time.
pub(crate) fn timed_out(destination: &str) -> Error {
    Error::new(
        ErrorKind::Transport,
        format!("{destination} was not answered in time; set `timeout` if the server needs longer"),
    )
    .caused_by(io::Error::from(io::ErrorKind::TimedOut))
}
