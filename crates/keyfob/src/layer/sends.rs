//! One request of the tower layer: what is kept of it, and how each attempt is sent.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::Either;
use futures_util::future::select;
use http::Extensions;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::Version;
use http::request::Parts;
use tower_service::Service;

use crate::alarm::Alarm;
use crate::authenticator::Authenticator;
use crate::cache::Lease;
use crate::cache::TokenCache;
use crate::classify::classify;
use crate::drive::Attempts;
use crate::error::BoxError;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::exchange::Failure;
use crate::exchange::Outcome;
use crate::exchange::Replay;
use crate::replay_body::ReplayBody;
use crate::retry::RetryPolicy;
use crate::sync::Mutex;
use crate::sync::lock;

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

/// One request over one service.
pub(super) struct Sends<S: Service<Request<B>>, P: ReplayBody<B>, B> {
    calls: Arc<Calls<S, P>>,
    first: First<S, B>,
    /// Of the attempts after the first.
    service: Option<S>,
    head: KeptHead,
    kept: Option<P::Kept>,
}

/// How far the first attempt has got.
pub(super) enum First<S: Service<Request<B>>, B> {
    /// The service was called as it was ready.
    Called(S::Future),
    /// There is no credential yet.
    Waits(Box<(S, Request<B>)>),
    Gone,
}

/// What is kept of a head: all of it if the request can be sent again, otherwise as much as an error tells.
///
/// The fields are a list, for which one piece of memory is enough, and of which a map is made when that is needed.
pub(super) struct KeptHead {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
}

impl KeptHead {
    pub(super) fn of(head: &Parts, body: Replay) -> Self {
        let mut kept = Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            fields: Vec::new(),
            extensions: Extensions::new(),
        };
        if body == Replay::Possible {
            let fields = head.headers.iter();
            kept.fields = fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            kept.extensions = head.extensions.clone();
        }
        kept
    }

    fn with<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        *request.extensions_mut() = self.extensions.clone();
        for (name, value) in &self.fields {
            request.headers_mut().append(name.clone(), value.clone());
        }
        request
    }
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
    pub(super) fn new(
        calls: Arc<Calls<S, P>>,
        first: First<S, B>,
        head: KeptHead,
        kept: Option<P::Kept>,
    ) -> Self {
        Self {
            calls,
            first,
            service: None,
            head,
            kept,
        }
    }

    pub(super) fn tokens(&self) -> &TokenCache {
        self.authenticator().tokens()
    }

    /// An attempt of which nothing has been done yet.
    async fn attempt(
        &mut self,
        first: First<S, B>,
        lease: &Lease,
    ) -> Result<Response<R>, BoxError> {
        let (service, mut request) = match first {
            First::Waits(first) => {
                let (service, request) = *first;
                (self.service.insert(service), request)
            }
            _ => {
                let request = self.again()?;
                let spare = || lock(&self.calls.spare).clone();
                (self.service.get_or_insert_with(spare), request)
            }
        };
        let shared = &self.calls.shared;
        let authenticator = &shared.authenticator;
        let url = || authenticator.origins().url_of(request.uri());
        let credential = authenticator.credential(lease, request.method(), url)?;
        credential.apply(request.headers_mut());
        let answer = async {
            poll_fn(|context| service.poll_ready(context)).await?;
            service.call(request).await
        };
        within(&shared.alarm, answer)
            .await
            .unwrap_or_else(|| Err(self.timed_out()))
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
        match mem::replace(&mut self.first, First::Gone) {
            First::Called(answer) => within(&self.calls.shared.alarm, answer)
                .await
                .unwrap_or_else(|| Err(self.timed_out())),
            // A request's future shall not carry the room for what is rare.
            first => Box::pin(self.attempt(first, lease)).await,
        }
    }

    fn outcome<'a>(&self, result: &'a Result<Response<R>, BoxError>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Answer(response.status(), response.headers()),
            Err(error) => Outcome::Failure(self.calls.shared.failure(error.as_ref())),
        }
    }
}

/// Waits for an answer until the alarm rings (R8); `None` if it does.
async fn within<T, E: Into<BoxError>>(
    alarm: &Alarm,
    answer: impl Future<Output = Result<T, E>>,
) -> Option<Result<T, BoxError>> {
    match select(pin!(answer), alarm.watch()).await {
        Either::Left((answer, _)) => Some(answer.map_err(Into::into)),
        Either::Right(((), _)) => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_a_head_is_kept_as_it_was() {
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        let request = Request::put("https://a.example/x?y")
            .version(Version::HTTP_2)
            .header("cookie", "a=1")
            .header("x-other", "")
            .header("cookie", secret)
            .extension(42_u8);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let again = KeptHead::of(&head, Replay::Possible).with(());
        let (again, ()) = again.into_parts();
        assert_eq!(
            (again.method, again.uri, again.version),
            (head.method, head.uri, head.version)
        );
        assert_eq!(again.headers, head.headers);
        let sensitive = again.headers.values().filter(|value| value.is_sensitive());
        assert_eq!(sensitive.count(), 1);
        assert_eq!(again.extensions.get::<u8>(), Some(&42));
    }
}
