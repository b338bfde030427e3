//! The loop that every client runs: send an attempt, have its outcome judged, do what the step says.
//!
//! The rules are those of [`Exchange`]. A client says only how it sends one attempt.

use std::borrow::Cow;
use std::future::Future;
use std::ops::ControlFlow;

use http::{HeaderName, HeaderValue};

use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::error::error::Error;
use crate::exchange::exchange::{Exchange, Step};
use crate::exchange::outcome::Outcome;
use crate::exchange::redirect::{OnRedirect, Redirect};

/// How a client sends the attempts of one request.
pub(crate) trait Attempts: Send {
    type Response: Send;
    type Failure: From<Error> + Send;

    /// Sends the request. It carries the credential of this lease, or none after a redirect to another origin (R7).
    fn send(
        &mut self,
        lease: Option<&Lease>,
    ) -> impl Future<Output = Result<Self::Response, Self::Failure>> + Send;

    fn outcome<'a>(&self, result: &'a Result<Self::Response, Self::Failure>) -> Outcome<'a>;

    /// The absolute URL of the request.
    fn url(&self) -> Cow<'_, str>;

    fn on_redirect(&self) -> OnRedirect<'_> {
        OnRedirect::Return
    }

    /// Whether the request must not be sent again: it is unknown what was sent last, or its body can no longer be made.
    fn is_spent(&self) -> bool {
        false
    }

    /// Changes the request as a redirect says. Called only if [`on_redirect`](Self::on_redirect) follows redirects.
    fn redirect(&mut self, _redirect: &Redirect, _credential: &[(HeaderName, HeaderValue)]) {}
}

/// Sends a request until its exchange is done, and returns the last response or failure unchanged (R6).
///
/// `lease` is the credential of the first attempt, if there is one without waiting.
pub(crate) async fn run<A: Attempts>(
    authenticator: &Authenticator,
    exchange: &mut Exchange,
    lease: Option<Lease>,
    attempts: &mut A,
) -> Result<A::Response, A::Failure> {
    let mut lease = match lease {
        None => authenticator.lease(exchange).await?,
        ready => ready,
    };
    loop {
        let result = attempts.send(lease.as_ref()).await;
        let outcome = attempts.outcome(&result);
        if let Outcome::Response(status, headers) = outcome
            && lease.is_some()
        {
            authenticator.record_nonce(|| attempts.url(), status, headers);
        }
        if attempts.is_spent() {
            exchange.forbid_replay();
        }
        let step = authenticator.judge(exchange, outcome, attempts.on_redirect())?;
        if step == Step::Done {
            return result;
        }
        if let Step::Follow(redirect) = &step {
            let credential = lease.as_ref().map_or(&[][..], Lease::headers);
            attempts.redirect(redirect, credential);
        }
        // Boxed, because most requests need only one attempt: their futures stay small.
        lease = match Box::pin(next_lease(authenticator, exchange, lease, step)).await? {
            ControlFlow::Continue(lease) => lease,
            ControlFlow::Break(()) => return result,
        };
        // Here `result` is dropped. A response that is still held could keep what the next attempt waits for, such as
        // a permit of a concurrency limit.
    }
}

/// Does what a step says, and returns the lease of the next attempt, or `Break` if there is no further attempt.
async fn next_lease(
    authenticator: &Authenticator,
    exchange: &Exchange,
    lease: Option<Lease>,
    step: Step,
) -> Result<ControlFlow<(), Option<Lease>>, Error> {
    let next = match (step, lease) {
        (Step::Follow(_), _) => Some(authenticator.lease(exchange).await?),
        (Step::Wait(pause, _), _) => {
            authenticator.clock().sleep(pause).await;
            let next = authenticator.lease(exchange).await;
            next.inspect_err(|error| authenticator.will_not_retry(error))
                .ok()
        }
        (Step::Renew(challenges), Some(lease)) => {
            let max_wait = authenticator.max_wait(exchange);
            let next = authenticator.replace(&lease, &challenges, max_wait).await;
            next.map(Some)
        }
        (Step::Reject(challenges), Some(lease)) => {
            let max_wait = authenticator.max_wait(exchange);
            authenticator.reject(&lease, &challenges, max_wait).await;
            None
        }
        (Step::Done | Step::Renew(_) | Step::Reject(_), _) => None,
    };
    Ok(next.map_or(ControlFlow::Break(()), ControlFlow::Continue))
}
