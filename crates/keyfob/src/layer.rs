//! The tower layer: a credential on every request that a client service sends.
//!
//! For programs whose client is a `tower` stack: `hyper-util`, `tonic`, `kube`, `axum` in front of another server. Where
//! `reqwest` may be used, a session does more for you: it follows redirects, and its time limits know what still moves.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::future::Either;
use futures_util::future::select;
use http::Request;
use http::Response;
use http::request::Parts;
use tower_layer::Layer;
use tower_service::Service;

use crate::alarm::Alarm;
use crate::authenticator::Authenticator;
use crate::binding::Binding;
use crate::cache::Lease;
use crate::cache::TokenCache;
use crate::classify::classify;
use crate::drive::Attempts;
use crate::drive::drive;
use crate::error::BoxError;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::exchange::Effect;
use crate::exchange::Exchange;
use crate::exchange::Failure;
use crate::exchange::Outcome;
use crate::exchange::Replay;
use crate::origin_setters::origin_setters;
use crate::replay_body::ReplayBody;
use crate::replay_body::ReplayEmpty;
use crate::retry::RetryPolicy;

/// Puts a fresh token on the requests of a client service.
///
/// Goes over any `Service<http::Request<B>, Response = http::Response<R>>` that can be cloned. Each attempt is authorized
/// anew; a 401, or a gRPC answer that is nothing but `UNAUTHENTICATED`, renews the token and is replayed once; failures
/// are retried as the [`RetryPolicy`] says. A body is sent again only if the layer knows how, see
/// [`replay`](AuthenticationLayerBuilder::replay).
///
/// * A request for another origin than those that the layer is bound to is an error, and is not sent. A request whose URI
///   has no authority counts as one for the layer's origin if that is exactly one; the service must then be connected to it.
/// * Redirects are handed to the caller. A service that follows them belongs around this layer, never within, and only
///   around one that is bound to origins: with [`any_https_origin`](AuthenticationLayerBuilder::any_https_origin) the
///   layer could not tell a redirect's origin from the caller's.
/// * All services that one layer makes share the token and the retry budget.
/// * Errors are boxed: the service's own as it was, or an [`Error`] for what the layer refuses and for a missing token.
///
/// ```
/// use http_body_util::Full;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use keyfob::{AuthenticationLayer, EnvToken, ReplayCloned};
/// use tower::Layer;
///
/// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
///     .origin("https://api.example.com")
///     .replay(ReplayCloned)
///     .build()?;
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
/// let client = layer.layer(client);
/// # Ok::<(), keyfob::Error>(())
/// ```
///
/// Under a generated gRPC client, whose requests have no authority, it goes over the channel:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{AuthenticationLayer, EnvToken, ReplayBuffered};
/// use tonic::transport::Channel;
/// use tower::Layer;
///
/// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
///     .origin("https://grpc.example.com")
///     .replay(ReplayBuffered::new(tonic::body::Body::new))
///     .build()?;
/// let channel = layer.layer(Channel::from_static("https://grpc.example.com").connect_lazy());
/// // let client = GreeterClient::new(channel);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuthenticationLayer<P = ReplayEmpty> {
    shared: Arc<Shared>,
    replay: P,
}

impl AuthenticationLayer {
    /// A layer for one origin, with the default settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the origin is not an absolute http(s) one, and
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another host than this one.
    pub fn new(origin: impl AsRef<str>, tokens: impl Into<TokenCache>) -> Result<Self, Error> {
        Self::builder(tokens).origin(origin).build()
    }

    /// A layer with settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> AuthenticationLayerBuilder {
        AuthenticationLayerBuilder {
            tokens: tokens.into(),
            binding: Binding::default(),
            retry: RetryPolicy::default(),
            timeout: AuthenticationLayerBuilder::TIMEOUT,
            classify: Arc::new(|_| None),
            replay: ReplayEmpty,
        }
    }
}

impl<P> AuthenticationLayer<P> {
    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        self.shared.authenticator.tokens()
    }
}

impl<S, P: Clone> Layer<S> for AuthenticationLayer<P> {
    type Service = Authenticated<S, P>;

    fn layer(&self, inner: S) -> Authenticated<S, P> {
        Authenticated {
            inner,
            shared: Arc::clone(&self.shared),
            replay: self.replay.clone(),
        }
    }
}

/// A service whose requests carry a fresh token; made by an [`AuthenticationLayer`].
#[derive(Clone)]
pub struct Authenticated<S, P = ReplayEmpty> {
    inner: S,
    shared: Arc<Shared>,
    replay: P,
}

impl<S, P, B, R> Service<Request<B>> for Authenticated<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Clone + Send + Sync + 'static,
    P::Kept: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone may not be ready; what was made ready is what is called.
        let clone = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, clone);
        let (shared, replay) = (Arc::clone(&self.shared), self.replay.clone());
        // By reference, since a client may be large and would be copied from future to future.
        Box::pin(async move { shared.send(&mut service, &replay, request).await })
    }
}

/// Makes an [`AuthenticationLayer`] with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{AuthenticationLayer, EnvToken, RetryPolicy};
///
/// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
///     .origin("https://api.example.com")
///     .origin("https://uploads.example.com")
///     .timeout(Duration::from_secs(5))
///     .retry(RetryPolicy::default().attempts(6))
///     .build()?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[must_use]
pub struct AuthenticationLayerBuilder<P = ReplayEmpty> {
    tokens: TokenCache,
    binding: Binding,
    retry: RetryPolicy,
    timeout: Duration,
    classify: Arc<Classify>,
    replay: P,
}

type Classify = dyn Fn(&(dyn StdError + 'static)) -> Option<Failure> + Send + Sync;

impl AuthenticationLayerBuilder {
    /// How long an attempt may wait for the head of its answer, unless set.
    pub const TIMEOUT: Duration = Duration::from_secs(20);
}

impl<P> AuthenticationLayerBuilder<P> {
    origin_setters!();

    /// Lets the credential go to any https origin that a request names; not together with [`origin`](Self::origin).
    ///
    /// Only where nothing around the layer follows redirects: it could not tell a redirect's origin from the caller's.
    pub fn any_https_origin(mut self) -> Self {
        self.binding.allow_any_https();
        self
    }

    /// Sets what is retried; [`RetryPolicy::default`] unless set.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long an attempt may wait for the head of its answer.
    ///
    /// [`TIMEOUT`](AuthenticationLayerBuilder::TIMEOUT) unless set. It counts from when the credential is there: the wait for
    /// the service to be ready, the connection and the upload are in it; the body of the answer is not. Raise it for long
    /// uploads and for streaming calls whose answer begins late; [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says how bodies are sent a second time; [`ReplayEmpty`] unless set: only requests without one are.
    ///
    /// [`ReplayCloned`](crate::ReplayCloned) is for bodies in memory, [`ReplayBuffered`](crate::ReplayBuffered) for boxed
    /// ones as of gRPC clients. A closure decides for each body: `|body: &MyBody| body.try_clone()`.
    pub fn replay<Q>(self, replay: Q) -> AuthenticationLayerBuilder<Q> {
        AuthenticationLayerBuilder {
            tokens: self.tokens,
            binding: self.binding,
            retry: self.retry,
            timeout: self.timeout,
            classify: self.classify,
            replay,
        }
    }

    /// Says what the service's own errors mean for a retry; for `None`, their causes are searched for an `io::Error`.
    ///
    /// Without it, only "connection refused" counts as [`Failure::Connect`], which is retried whatever the method, and an
    /// error without a known cause counts as [`Failure::Broken`]. The client of `hyper-util` knows more:
    ///
    /// ```
    /// use hyper_util::client::legacy;
    /// use keyfob::{AuthenticationLayer, EnvToken, Failure};
    ///
    /// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
    ///     .origin("https://api.example.com")
    ///     .classify(|error| {
    ///         let error = error.downcast_ref::<legacy::Error>()?;
    ///         error.is_connect().then_some(Failure::Connect)
    ///     })
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn classify<F>(mut self, classify: F) -> Self
    where
        F: Fn(&(dyn StdError + 'static)) -> Option<Failure> + Send + Sync + 'static,
    {
        self.classify = Arc::new(classify);
        self
    }

    /// Makes the layer. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`AuthenticationLayer::new`]; also if no origin was given.
    pub fn build(self) -> Result<AuthenticationLayer<P>, Error> {
        let origins = self.binding.into_origins()?;
        let alarm = Alarm::new(self.timeout, self.tokens.clock(), self.tokens.runtime());
        Ok(AuthenticationLayer {
            shared: Arc::new(Shared {
                authenticator: Authenticator::new(self.tokens, origins),
                // Layers made with one policy do not draw on one budget.
                policy: Arc::new(self.retry.with_own_budget()),
                alarm,
                classify: self.classify,
            }),
            replay: self.replay,
        })
    }
}

/// What all services of a layer have in common.
struct Shared {
    authenticator: Authenticator,
    policy: Arc<RetryPolicy>,
    alarm: Alarm,
    classify: Arc<Classify>,
}

impl Shared {
    async fn send<S, P, B, R>(
        &self,
        service: &mut S,
        replay: &P,
        request: Request<B>,
    ) -> Result<Response<R>, BoxError>
    where
        S: Service<Request<B>, Response = Response<R>> + Send,
        S::Error: Into<BoxError>,
        S::Future: Send,
        P: ReplayBody<B> + Send + Sync,
        P::Kept: Send,
        B: Send,
        R: Send,
    {
        self.authenticator.origins().check_uri(request.uri())?;
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let (body, kept) = poll_fn(|context| {
            let body = body.take().expect("it is ready when first polled");
            Poll::Ready(replay.keep(body, context))
        })
        .await;
        let repeatable = match kept {
            Some(_) => Replay::Possible,
            None => Replay::Impossible,
        };
        let now = self.authenticator.clock().elapsed();
        let exchange = Exchange::new(
            Arc::clone(&self.policy),
            Effect::of(&head.method, &head.headers),
            repeatable,
            now,
        );
        let mut attempts = Sends {
            shared: self,
            service,
            replay,
            head: keep_head(&head, repeatable),
            kept,
            next: Some(Request::from_parts(head, body)),
        };
        drive(&self.authenticator, exchange, now, &mut attempts).await?
    }

    fn failure(&self, error: &(dyn StdError + 'static)) -> Failure {
        (self.classify)(error).unwrap_or_else(|| classify(error))
    }
}

/// One request over one service.
struct Sends<'a, S, P: ReplayBody<B>, B> {
    shared: &'a Shared,
    service: &'a mut S,
    replay: &'a P,
    next: Option<Request<B>>,
    head: Parts,
    kept: Option<P::Kept>,
}

/// What is kept of a head: all of it if the request can be sent again, otherwise as much as an error tells.
fn keep_head(head: &Parts, body: Replay) -> Parts {
    if body == Replay::Possible {
        return head.clone();
    }
    let (mut kept, ()) = Request::new(()).into_parts();
    kept.method.clone_from(&head.method);
    kept.uri.clone_from(&head.uri);
    kept
}

impl<S, P: ReplayBody<B>, B> Sends<'_, S, P, B> {
    /// The request as the caller made it: the first time itself, then a copy.
    fn take(&mut self) -> Result<Request<B>, Error> {
        if let Some(request) = self.next.take() {
            return Ok(request);
        }
        let kept = self
            .kept
            .as_ref()
            .expect("only what can be replayed is sent again");
        let body = self.replay.again(kept).ok_or_else(|| {
            Error::input("the `replay` of the layer did not give a body that it had kept")
        })?;
        Ok(Request::from_parts(self.head.clone(), body))
    }

    /// Where the request goes, as an error may show it.
    fn destination(&self) -> String {
        let origin = self
            .shared
            .authenticator
            .origins()
            .origin_of(&self.head.uri);
        let origin = origin.map(|origin| origin.to_string()).unwrap_or_default();
        format!("{} {origin}", self.head.method)
    }
}

impl<S, P, B, R> Attempts for Sends<'_, S, P, B>
where
    S: Service<Request<B>, Response = Response<R>> + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    P: ReplayBody<B> + Send + Sync,
    P::Kept: Send,
    B: Send,
    R: Send,
{
    type Answer = Response<R>;
    type Failure = BoxError;

    async fn send(&mut self, lease: &Lease) -> Result<Response<R>, BoxError> {
        let mut request = self.take()?;
        self.shared
            .authenticator
            .apply(lease, request.headers_mut());
        let service = &mut *self.service;
        let answer = async {
            poll_fn(|context| service.poll_ready(context))
                .await
                .map_err(Into::into)?;
            service.call(request).await.map_err(Into::into)
        };
        match within(&self.shared.alarm, answer).await {
            Some(answer) => answer,
            None => Err(timed_out(&self.destination()).into()),
        }
    }

    fn outcome<'a>(&self, result: &'a Result<Response<R>, BoxError>) -> Outcome<'a> {
        match result {
            Ok(response) => Outcome::Answer(response.status(), response.headers()),
            Err(error) => Outcome::Failure(self.shared.failure(error.as_ref())),
        }
    }
}

/// Waits for an answer until the alarm rings (R8); `None` if it does.
async fn within<T>(alarm: &Alarm, answer: impl Future<Output = T>) -> Option<T> {
    match select(pin!(answer), alarm.watch()).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}

/// The error of an attempt that was not answered in time.
fn timed_out(destination: &str) -> Error {
    Error::new(
        ErrorKind::Transport,
        format!("{destination} was not answered in time; set `timeout` if the server needs longer"),
    )
    .caused_by(io::Error::from(io::ErrorKind::TimedOut))
}

impl<P> fmt::Debug for AuthenticationLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayer")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Authenticated<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated")
            .field("inner", &self.inner)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for AuthenticationLayerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayerBuilder")
            .field("tokens", &self.tokens)
            .field("binding", &self.binding)
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
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
