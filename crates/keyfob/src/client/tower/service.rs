//! The attempts of one request of the tower layer.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::sync::Arc;
use std::{fmt, io};

use http::{Request, Response};
use tower_service::Service;

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::client::idle_timeout::IdleTimeout;
use crate::client::retry_loop;
use crate::client::retry_loop::Attempts;
use crate::client::settings::ClientRules;
use crate::client::tower::kept_head::KeptHead;
use crate::client::tower::replay::ReplayBody;
use crate::error::error::{BoxError, Error};
use crate::exchange::exchange::Exchange;
use crate::exchange::io_failure::classify;
use crate::exchange::outcome::{Failure, Outcome};
use crate::runtime::lock::{Mutex, lock};

/// What all clones of one service share.
pub(super) struct SharedService<S, P> {
    pub(super) rules: Arc<LayerRules>,
    pub(super) replay: P,
    /// Cloned for the attempts after the first, so that a request does not carry a clone that it rarely needs.
    pub(super) spare: Mutex<S>,
}

/// What all services of one layer share.
pub(super) struct LayerRules {
    pub(super) client: ClientRules,
    pub(super) classify: Arc<Classify>,
}

/// Says what an error of the service means for a retry.
pub(super) type Classify = dyn Fn(&(dyn StdError + 'static)) -> Option<Failure> + Send + Sync;

/// A request that was begun, and is sent until its exchange is done.
pub(crate) struct BegunRequest<S, P, B>
where
    S: Service<Request<B>>,
    P: ReplayBody<B>,
{
    pub(super) exchange: Exchange,
    /// The rules for the credential of this request, if it chose one. Boxed, because most requests choose none.
    pub(super) of_request: Option<Box<Authenticator>>,
    pub(super) lease: Option<Lease>,
    pub(super) attempts: ServiceAttempts<S, P, B>,
}

/// The attempts of one request over one service.
pub(super) struct ServiceAttempts<S, P, B>
where
    S: Service<Request<B>>,
    P: ReplayBody<B>,
{
    pub(super) head: KeptHead,
    /// What makes the body again, if that is possible.
    pub(super) kept: Option<P::Kept>,
    pub(super) first: Option<First<S, B, S::Future>>,
    /// The service of the attempts after the first. Boxed, because few requests have one.
    pub(super) service: Option<Box<S>>,
    pub(super) shared: Arc<SharedService<S, P>>,
}

/// The first attempt.
pub(super) enum First<S, B, F> {
    /// There was a token, and the service was called.
    Sent(F),
    /// The token is awaited. This is the service that was made ready.
    /// Boxed, because it is rare.
    Waiting(Box<(S, Request<B>)>),
}

impl<S, P, B, R> BegunRequest<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync,
    P::Kept: Send,
    B: Send,
    R: Send,
{
    /// Sends the request until its exchange is done. Called once.
    pub(crate) async fn finish(&mut self) -> Result<Response<R>, BoxError> {
        let shared = Arc::clone(&self.attempts.shared);
        let of_client = &shared.rules.client.authenticator;
        let authenticator = self.of_request.as_deref().unwrap_or(of_client);
        let lease = self.lease.take();
        retry_loop::run(authenticator, &mut self.exchange, lease, &mut self.attempts).await
    }

    /// The cache of its token.
    pub(crate) fn tokens(&self) -> &TokenCache {
        let of_client = &self.attempts.shared.rules.client.authenticator;
        self.of_request.as_deref().unwrap_or(of_client).tokens()
    }

    /// What happened to the request so far.
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl<S, P, B, R> ServiceAttempts<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    P: ReplayBody<B>,
{
    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.shared.rules.client.authenticator
    }

    /// The request with the credential (R7).
    pub(super) fn authorized(
        &self,
        mut request: Request<B>,
        lease: &Lease,
    ) -> Result<Request<B>, Error> {
        let authenticator = self.authenticator();
        let credential = authenticator.credential(lease, &self.head.method, || self.url())?;
        credential.apply(request.headers_mut());
        Ok(request)
    }

    fn timeout(&self) -> &IdleTimeout {
        &self.shared.rules.client.timeout
    }

    /// The service for another attempt. It is cloned once for all further attempts of the request.
    fn another_service(&mut self) -> S {
        let service = self.service.take();
        service.map_or_else(|| lock(&self.shared.spare).clone(), |service| *service)
    }

    /// The request as the caller made it.
    fn again(&self) -> Result<Request<B>, Error> {
        let kept = self
            .kept
            .as_ref()
            .expect("only a request that can be replayed is sent again");
        let body = self.shared.replay.again(kept).ok_or_else(|| {
            Error::input("the `replay` of the layer returned no body although it had kept one")
        })?;
        Ok(self.head.with(body))
    }

    fn url(&self) -> String {
        self.authenticator().origins().url_of(&self.head.uri)
    }

    fn timed_out(&self) -> Error {
        let origin = self.authenticator().origins().origin_of(&self.head.uri);
        let origin = origin.map(|origin| origin.to_string()).unwrap_or_default();
        let error = Failure::Timeout.error(&format!("{} {origin}", self.head.method));
        error.caused_by(io::Error::from(io::ErrorKind::TimedOut))
    }
}

impl<S, P, B, R> Attempts for ServiceAttempts<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync,
    P::Kept: Send,
    B: Send,
    R: Send,
{
    type Response = Response<R>;
    type Failure = BoxError;

    async fn send(&mut self, lease: Option<&Lease>) -> Result<Response<R>, BoxError> {
        let response = match self.first.take() {
            Some(First::Sent(response)) => self.timeout().wait(response, None).await,
            first => {
                let (mut service, request) = match first {
                    Some(First::Waiting(first)) => *first,
                    _ => (self.another_service(), self.again()?),
                };
                let lease = lease.expect("a layer follows no redirect");
                let request = self.authorized(request, lease)?;
                let response = async {
                    poll_fn(|context| service.poll_ready(context)).await?;
                    service.call(request).await
                };
                // Boxed, because most requests need no further attempt.
                let response = Box::pin(self.timeout().wait(response, None)).await;
                self.service = Some(Box::new(service));
                response
            }
        };
        match response {
            Some(response) => response.map_err(Into::into),
            None => Err(self.timed_out().into()),
        }
    }

    fn outcome<'a>(&self, result: &'a Result<Response<R>, BoxError>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Response(response.status(), response.headers()),
            Err(error) => {
                let error = error.as_ref();
                let failure = (self.shared.rules.classify)(error);
                Outcome::Failure(failure.unwrap_or_else(|| classify(error)))
            }
        }
    }

    fn url(&self) -> Cow<'_, str> {
        self.url().into()
    }

    fn is_spent(&self) -> bool {
        let lost = |kept| !self.shared.replay.is_possible(kept);
        self.kept.as_ref().is_some_and(lost)
    }
}

impl fmt::Debug for LayerRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerRules")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
