//! One request of the tower layer: what is kept of it, and how each attempt is sent.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::{fmt, io};

use http::{Request, Response};
use tower_service::Service;

use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::client::response_timeout::UntilStalled;
use crate::client::retry_loop::Attempts;
use crate::client::shared_timer::Alarm;
use crate::client::tower::kept_head::KeptHead;
use crate::client::tower::replay::ReplayBody;
use crate::error::error::{BoxError, Error, ErrorKind};
use crate::exchange::exchange::{Failure, Outcome};
use crate::exchange::io_failure::classify;
use crate::exchange::retry::RetryPolicy;
use crate::runtime::lock::{Mutex, lock};

/// What all clones of one service have in common.
pub(super) struct Calls<S, P> {
    pub(super) shared: Arc<Shared>,
    pub(super) replay: P,
    /// Cloned for the attempts after the first, so that a request need not carry a clone that is hardly ever called.
    pub(super) spare: Mutex<S>,
}

/// What all services of a layer have in common.
pub(super) struct Shared {
    pub(super) authenticator: Authenticator,
    pub(super) policy: Arc<RetryPolicy>,
    pub(super) alarm: Alarm,
    pub(super) classify: Arc<Classify>,
}

impl Shared {
    fn failure(&self, error: &(dyn StdError + 'static)) -> Failure {
        (self.classify)(error).unwrap_or_else(|| classify(error))
    }
}

pub(super) type Classify = dyn Fn(&(dyn StdError + 'static)) -> Option<Failure> + Send + Sync;

/// One request over one service, as far as its further attempts need it.
pub(super) struct Sends<S, P: ReplayBody<B>, B> {
    pub(super) calls: Arc<Calls<S, P>>,
    /// Of the attempts after the first; in a box, for hardly a request has one.
    pub(super) service: Option<Box<S>>,
    pub(super) head: KeptHead,
    pub(super) kept: Option<P::Kept>,
}

impl<S, P, B, R> Sends<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync,
    P::Kept: Send,
    B: Send,
    R: Send,
{
    /// Sends a request when this service is ready.
    pub(super) async fn send_over(
        &mut self,
        mut service: Box<S>,
        mut request: Request<B>,
        lease: &Lease,
    ) -> Result<Response<R>, BoxError> {
        let shared = &self.calls.shared;
        let authenticator = &shared.authenticator;
        let url = || authenticator.origins().url_of(request.uri());
        let credential = authenticator.credential(lease, request.method(), url)?;
        credential.apply(request.headers_mut());
        let answer = async {
            poll_fn(|context| service.poll_ready(context)).await?;
            service.call(request).await
        };
        let answer = UntilStalled::new(pin!(answer), None, Some(&shared.alarm)).await;
        self.service = Some(service);
        self.answered(answer)
    }

    /// What came of an attempt; `None` if the alarm rang (R8).
    pub(super) fn answered(
        &self,
        answer: Option<Result<Response<R>, S::Error>>,
    ) -> Result<Response<R>, BoxError> {
        match answer {
            Some(answer) => answer.map_err(Into::into),
            None => Err(self.timed_out()),
        }
    }

    /// The request as the caller made it.
    fn again(&self) -> Result<Request<B>, Error> {
        let kept = self
            .kept
            .as_ref()
            .expect("only what can be replayed is sent again");
        let body = self.calls.replay.again(kept).ok_or_else(|| {
            Error::input("the `replay` of the layer did not give a body that it had kept")
        })?;
        Ok(self.head.with(body))
    }

    /// The error of an attempt that was not answered in time.
    fn timed_out(&self) -> BoxError {
        let origins = self.calls.shared.authenticator.origins();
        let origin = origins.origin_of(&self.head.uri);
        let origin = origin.map(|origin| origin.to_string()).unwrap_or_default();
        let method = &self.head.method;
        let error = Error::new(
            ErrorKind::Transport,
            format!(
                "{method} {origin} was not answered in time; set `timeout` if the server needs longer"
            ),
        );
        error
            .caused_by(io::Error::from(io::ErrorKind::TimedOut))
            .into()
    }
}

impl<S, P, B, R> Attempts for Sends<S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync,
    P::Kept: Send,
    B: Send,
    R: Send,
{
    type Answer = Response<R>;
    type Failure = BoxError;

    fn authenticator(&self) -> &Authenticator {
        &self.calls.shared.authenticator
    }

    fn url(&self) -> String {
        self.authenticator().origins().url_of(&self.head.uri)
    }

    async fn send(&mut self, lease: &Lease) -> Result<Response<R>, BoxError> {
        let request = self.again()?;
        let spare = || Box::new(lock(&self.calls.spare).clone());
        let service = self.service.take().unwrap_or_else(spare);
        self.send_over(service, request, lease).await
    }

    fn outcome<'a>(&self, result: &'a Result<Response<R>, BoxError>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Response(response.status(), response.headers()),
            Err(error) => Outcome::Failure(self.calls.shared.failure(error.as_ref())),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("authenticator", &self.authenticator)
            .field("policy", &self.policy)
            .field("timeout", &self.alarm.limit())
            .finish_non_exhaustive()
    }
}
