//! The loop of the async session: authorize, send, judge, again?
//!
//! Nearly every request is answered at its first attempt. That one is made here in [`FirstAttempt`], a future with few fields; what
//! is rare, such as the wait for a token and each further attempt, is in a box of its own. All of it is in a box, so that the
//! futures of callers stay small.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use pin_project_lite::pin_project;
use reqwest::{Body, Client, Request, Response};
use url::Url;

use crate::cache::lease::Lease;
use crate::client::response_timeout::{Moved, UntilStalled};
use crate::client::session::attempts::{Journey, Next, Outgoing};
use crate::client::session::idle_timeout::{Counted, PIECE};
use crate::client::session::response_body::limit_body;
use crate::client::session::sender::{Options, Sender};
use crate::client::session::shared_methods::outgoing;
use crate::client::shared_timer::Alarm;
use crate::error::error::Error;
use crate::exchange::exchange::{Outcome, Replay};
use crate::exchange::reqwest_failure::Fault;

/// What came of an attempt.
type Attempted = Result<Response, Fault>;

/// A request on its way, as its caller awaits it.
type Sending = BoxFuture<'static, Result<Response, Error>>;

impl Sender<Client> {
    /// Sends a request until its exchange is done; nothing is done before it is awaited.
    pub(crate) fn send(self: Arc<Self>, attempt: Request, options: Options) -> Sending {
        Box::pin(FirstAttempt {
            begin: Some(move || self.begin(attempt, &options)),
            answer: None,
            course: None,
            rest: None,
        })
    }

    /// Begins, unless the credential may not go where the request is to go.
    fn begin(
        self: Arc<Self>,
        mut attempt: Request,
        options: &Options,
    ) -> Result<
        PendingExchange<impl Future<Output = reqwest::Result<Response>> + Send + use<>>,
        Error,
    > {
        let (method, headers) = (attempt.method(), attempt.headers());
        let exchange = self.exchange(options, method, headers, replay(&attempt));
        // A limit that the caller set is `reqwest`'s to keep, over the whole attempt.
        let limited = attempt.timeout().is_none();
        let journey = Journey::begin(&mut attempt, exchange, &self.authenticator, self.redirects)?;
        let lease = self.tokens().fresh();
        let mut course = Course {
            sender: self,
            journey: Box::new(journey),
            limited,
        };
        Ok(match lease {
            Some(lease) => PendingExchange::Sent(course.transmit(attempt, Some(lease))?, course),
            None => PendingExchange::Waiting(Box::pin(course.begin_when_there_is_a_token(attempt))),
        })
    }
}

/// How a request begins.
enum PendingExchange<F> {
    /// There was a token.
    Sent(UntilStalled<F>, Course),
    Waiting(Sending),
}

pin_project! {
    /// A request up to the answer of its first attempt.
    struct FirstAttempt<B, F> {
        begin: Option<B>,
        #[pin]
        answer: Option<UntilStalled<F>>,
        // What the attempts have in common, until it is in the rest.
        course: Option<Course>,
        // The further attempts, or all of them.
        rest: Option<Sending>,
    }
}

impl<B, F> Future for FirstAttempt<B, F>
where
    B: FnOnce() -> Result<PendingExchange<F>, Error>,
    F: Future<Output = reqwest::Result<Response>>,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(begin) = this.begin.take() {
            match begin()? {
                PendingExchange::Sent(answer, course) => {
                    this.answer.set(Some(answer));
                    *this.course = Some(course);
                }
                PendingExchange::Waiting(rest) => *this.rest = Some(rest),
            }
        }
        if let Some(rest) = this.rest {
            return rest.as_mut().poll(context);
        }
        let answer = this.answer.as_pin_mut().expect(NOT_AGAIN);
        let result = attempted(ready!(answer.poll(context)));
        let course = this.course.as_mut().expect(NOT_AGAIN);
        let next = course.judge(&result)?;
        if let Next::Done = next {
            return Poll::Ready(course.hand_over(result));
        }
        let course = this.course.take().expect(NOT_AGAIN);
        let rest = Box::pin(course.go_on(result, next));
        this.rest.insert(rest).as_mut().poll(context)
    }
}

const NOT_AGAIN: &str = "a future is not polled again after its end";

/// What stays the same from one attempt to the next.
struct Course {
    sender: Arc<Sender<Client>>,
    journey: Box<Journey<Request>>,
    /// Whether the session's limit counts.
    limited: bool,
}

impl Course {
    /// Makes the first attempt, and those that follow.
    async fn begin_when_there_is_a_token(mut self, attempt: Request) -> Result<Response, Error> {
        let lease = self.lease().await?;
        let result = attempted(self.transmit(attempt, lease)?.await);
        let next = self.judge(&result)?;
        self.go_on(result, next).await
    }

    /// Makes further attempts until there is none.
    async fn go_on(mut self, mut result: Attempted, mut next: Next) -> Result<Response, Error> {
        while let ControlFlow::Continue(lease) = self.prepare(next).await? {
            let attempt = self.journey.again();
            result = attempted(self.transmit(attempt, lease)?.await);
            next = self.judge(&result)?;
        }
        self.hand_over(result)
    }

    /// What the next attempt carries, or that there is none.
    async fn prepare(&self, next: Next) -> Result<ControlFlow<(), Option<Lease>>, Error> {
        let authenticator = &self.sender.authenticator;
        match next {
            Next::Done => Ok(ControlFlow::Break(())),
            Next::Follow => self.lease().await.map(ControlFlow::Continue),
            Next::Wait(pause) => {
                authenticator.clock().sleep(pause).await;
                let lease = self.lease().await;
                let lease = lease.map_err(|error| authenticator.will_not_retry(&error));
                Ok(lease.map_or_else(ControlFlow::Break, ControlFlow::Continue))
            }
            Next::Replace(rejected, challenges, max_wait) => {
                let other = authenticator.replace(&rejected, &challenges, max_wait);
                let other = other.await.map(Some);
                Ok(other.map_or(ControlFlow::Break(()), ControlFlow::Continue))
            }
        }
    }

    /// The credential of the next attempt, if it carries one (R7).
    async fn lease(&self) -> Result<Option<Lease>, Error> {
        if !self.journey.wants_lease() {
            return Ok(None);
        }
        let authenticator = &self.sender.authenticator;
        let max_wait = self.journey.max_wait(authenticator);
        authenticator.lease(max_wait).await.map(Some)
    }

    /// Sends an attempt with this credential.
    fn transmit(
        &mut self,
        mut attempt: Request,
        lease: Option<Lease>,
    ) -> Result<UntilStalled<impl Future<Output = reqwest::Result<Response>> + Send + use<>>, Error>
    {
        let sender = &self.sender;
        self.journey
            .authorize(&mut attempt, lease, &sender.authenticator)?;
        let client = sender.client_for(attempt.url());
        let limit = self.limit();
        let moved = limit.and_then(|_| count_pieces(&mut attempt));
        Ok(UntilStalled::new(client.execute(attempt), moved, limit))
    }

    fn limit(&self) -> Option<&Alarm> {
        self.limited.then_some(&self.sender.alarm)
    }

    fn judge(&mut self, result: &Attempted) -> Result<Next, Error> {
        let outcome = match result {
            Ok(response) => Outcome::Response(response.status(), response.headers()),
            Err(fault) => Outcome::Failure(fault.failure()),
        };
        self.journey.judge(outcome, &self.sender.authenticator)
    }

    /// R6: the last answer or error, as it was.
    fn hand_over(&self, result: Attempted) -> Result<Response, Error> {
        let response = result.map_err(|fault| fault.report(&self.journey.destination()))?;
        Ok(match self.limit() {
            Some(alarm) => limit_body(response, alarm),
            None => response,
        })
    }
}

outgoing!(Request);

fn attempted(answer: Option<reqwest::Result<Response>>) -> Attempted {
    answer.ok_or(Fault::Stalled)?.map_err(Fault::Client)
}

/// Whether the body can be sent again; one that is streamed cannot.
pub(crate) fn replay(request: &Request) -> Replay {
    match request.body() {
        Some(body) if body.as_bytes().is_none() => Replay::Impossible,
        _ => Replay::Possible,
    }
}

/// Has the pieces of the body counted as they go, unless it is so short that it goes in one.
pub(crate) fn count_pieces(attempt: &mut Request) -> Option<Moved> {
    let body = attempt.body_mut().take()?;
    if body.as_bytes().is_some_and(|bytes| bytes.len() <= PIECE) {
        *attempt.body_mut() = Some(body);
        return None;
    }
    let moved = Moved::default();
    *attempt.body_mut() = Some(Body::wrap(Counted::new(body, Arc::clone(&moved))));
    Some(moved)
}
