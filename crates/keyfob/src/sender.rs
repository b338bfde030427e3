//! What a session is made of, and the loop of the async one: authorize, send, judge, again?

use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::future::Either;
use http::HeaderMap;
use http::Method;
use reqwest::Body;
use reqwest::Request;
use reqwest::Response;
use reqwest::ResponseBuilderExt;
use url::Url;

use crate::alarm::Alarm;
use crate::authenticator::Authenticator;
use crate::cache::Lease;
use crate::cache::TokenCache;
use crate::error::Error;
use crate::exchange::Effect;
use crate::exchange::Exchange;
use crate::exchange::Outcome;
use crate::exchange::Replay;
use crate::journey::Journey;
use crate::journey::Next;
use crate::journey::Outgoing;
use crate::journey::drop_userinfo;
use crate::origin::Origin;
use crate::origin::parse_url;
use crate::progress::Counted;
use crate::progress::Limited;
use crate::progress::Moved;
use crate::progress::PIECE;
use crate::progress::until_stalled;
use crate::retry::RetryPolicy;
use crate::surface::outgoing;
use crate::transport::Fault;

/// A client and how it is used, shared by all clones of a session.
pub(crate) struct Sender<C> {
    pub(crate) client: C,
    /// One that uses no proxy, for plain http to this machine.
    pub(crate) direct: Option<C>,
    pub(crate) authenticator: Authenticator,
    pub(crate) base: Option<Url>,
    pub(crate) policy: Arc<RetryPolicy>,
    /// Keeps the limit on how long nothing may move.
    pub(crate) alarm: Alarm,
    pub(crate) redirects: u32,
}

/// How one request differs from the session's defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) effect: Option<Effect>,
}

impl<C> Sender<C> {
    pub(crate) fn tokens(&self) -> &TokenCache {
        self.authenticator.tokens()
    }

    /// An absolute URL as it is, a relative one against the base (RFC 3986 §5).
    pub(crate) fn resolve(&self, url: &str) -> Result<Url, Error> {
        let mut url = match &self.base {
            Some(base) => base
                .join(url)
                .map_err(|fault| Error::input("the URL cannot be read").caused_by(fault)),
            None => parse_url(url),
        }?;
        // Here already, for the client's builder would make a header of it.
        drop_userinfo(&mut url)?;
        Ok(url)
    }

    /// R1: plain http to this machine must not leave it, and so not go through a proxy that the environment names.
    pub(crate) fn client_for(&self, url: &Url) -> &C {
        match &self.direct {
            Some(direct)
                if url.scheme() == "http"
                    && Origin::from_url(url).is_ok_and(|to| to.is_loopback()) =>
            {
                direct
            }
            _ => &self.client,
        }
    }

    pub(crate) fn exchange(
        &self,
        options: &Options,
        method: &Method,
        headers: &HeaderMap,
        body: Replay,
    ) -> Exchange {
        let policy = options.retry.as_ref().unwrap_or(&self.policy);
        let effect = options
            .effect
            .unwrap_or_else(|| Effect::of(method, headers));
        let now = self.authenticator.clock().elapsed();
        self.authenticator
            .exchange(Arc::clone(policy), effect, body, now)
    }
}

impl Sender<reqwest::Client> {
    /// Begins a request, unless the credential may not go where it is to go.
    ///
    /// Not part of [`complete`](Self::complete), whose future would hold the request twice.
    pub(crate) fn begin(
        &self,
        request: Request,
        options: &Options,
    ) -> Result<(Journey<Request>, Option<&Alarm>), Error> {
        let (method, headers) = (request.method(), request.headers());
        let exchange = self.exchange(options, method, headers, replay(&request));
        // A limit that the caller set is `reqwest`'s to keep, over the whole attempt.
        let limit = request.timeout().is_none().then_some(&self.alarm);
        let journey = Journey::begin(request, exchange, &self.authenticator, self.redirects)?;
        Ok((journey, limit))
    }

    /// Sends a request until its exchange is done.
    pub(crate) async fn complete(
        &self,
        journey: &mut Journey<Request>,
        limit: Option<&Alarm>,
    ) -> Result<Response, Error> {
        let mut lease = self.lease(journey).await?;
        loop {
            let attempt = journey.attempt(lease, &self.authenticator)?;
            let result = self.send(attempt, limit).await;
            let next = journey.judge(outcome(&result), &self.authenticator)?;
            if let Next::Done = next {
                return hand_over(result, limit, journey);
            }
            // A request's future shall not carry the room for what is rare.
            lease = match Box::pin(self.prepare(next, journey)).await? {
                ControlFlow::Continue(lease) => lease,
                ControlFlow::Break(()) => return hand_over(result, limit, journey),
            };
        }
    }

    /// What the next attempt carries, or that there is none.
    async fn prepare(
        &self,
        next: Next,
        journey: &Journey<Request>,
    ) -> Result<ControlFlow<(), Option<Lease>>, Error> {
        match next {
            Next::Done => Ok(ControlFlow::Break(())),
            Next::Follow => self.lease(journey).await.map(ControlFlow::Continue),
            Next::Wait(pause) => {
                self.authenticator.clock().sleep(pause).await;
                let lease = self.lease(journey).await.map_err(|error| {
                    self.authenticator.will_not_retry(&error);
                });
                Ok(lease.map_or_else(ControlFlow::Break, ControlFlow::Continue))
            }
            Next::Replace(rejected, challenges, patience) => {
                let other = self.authenticator.replace(&rejected, &challenges, patience);
                let other = other.await.map(Some);
                Ok(other.map_or(ControlFlow::Break(()), ControlFlow::Continue))
            }
        }
    }

    /// The credential of the next attempt, if it carries one (R7).
    async fn lease(&self, journey: &Journey<Request>) -> Result<Option<Lease>, Error> {
        if !journey.wants_lease() {
            return Ok(None);
        }
        if let Some(lease) = self.tokens().fresh() {
            return Ok(Some(lease));
        }
        let patience = journey.patience(&self.authenticator);
        self.tokens().lease(Some(patience)).await.map(Some)
    }

    /// Sends an attempt. The client takes it at once, so that the future does not hold a copy.
    fn send<'a>(
        &self,
        mut attempt: Request,
        limit: Option<&'a Alarm>,
    ) -> impl Future<Output = Result<Response, Fault>> + Send + use<'a> {
        let client = self.client_for(attempt.url());
        let moved = limit.and_then(|_| count_pieces(&mut attempt));
        let answer = client.execute(attempt);
        async move {
            let answer = match limit {
                Some(alarm) => until_stalled(answer, moved, alarm).await,
                None => Some(answer.await),
            };
            answer.ok_or(Fault::Stalled)?.map_err(Fault::Client)
        }
    }
}

outgoing!(Request);

impl<C> fmt::Debug for Sender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("authenticator", &self.authenticator)
            .field("policy", &self.policy)
            .field("timeout", &self.alarm.limit())
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// R6: the last answer or error, as it was.
fn hand_over(
    result: Result<Response, Fault>,
    limit: Option<&Alarm>,
    journey: &Journey<Request>,
) -> Result<Response, Error> {
    let response = result.map_err(|fault| fault.report(&journey.destination()))?;
    Ok(match limit {
        Some(alarm) => limit_body(response, alarm),
        None => response,
    })
}

/// The same response, whose body fails when it stalls.
fn limit_body(response: Response, alarm: &Alarm) -> Response {
    let url = response.url().clone();
    let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
    // The URL travels in an extension that only the builder can make.
    let mut carrier = http::Response::builder();
    if let Some(extensions) = carrier.extensions_mut() {
        *extensions = mem::take(&mut parts.extensions);
    }
    if let Ok(carrier) = carrier.url(url).body(()) {
        parts.extensions = carrier.into_parts().0.extensions;
    }
    let body = match Limited::new(body, alarm) {
        Either::Left(whole) => Body::from(whole),
        Either::Right(limited) => Body::wrap(limited),
    };
    Response::from(http::Response::from_parts(parts, body))
}

/// What the exchange is told of an attempt.
fn outcome(result: &Result<Response, Fault>) -> Outcome<'_> {
    match result {
        Ok(response) => Outcome::Answer(response.status(), response.headers()),
        Err(fault) => Outcome::Failure(fault.failure()),
    }
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
