//! The tower layer: a credential on every request that a client service sends.
//!
//! For programs whose client is a `tower` stack: `hyper-util`, `tonic`, `kube`, `axum` in front of another server. Where
//! `reqwest` may be used, a session does more for you: it follows redirects, and its time limits know what still moves.

use std::error::Error as StdError;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fmt, mem};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::cache::cache::TokenCache;
use crate::client::authenticator::Authenticator;
use crate::client::builder_setters::origin_setters;
#[cfg(feature = "oauth")]
use crate::client::dpop_setter::dpop_setter;
use crate::client::response_timeout::UntilStalled;
use crate::client::shared_timer::Alarm;
use crate::client::tower::answering::{Answering, when_there_is_a_token};
use crate::client::tower::kept_head::KeptHead;
use crate::client::tower::replay::{ReplayBody, ReplayEmpty};
use crate::client::tower::service::{Calls, Classify, Sends, Shared};
use crate::error::error::{BoxError, Error};
use crate::exchange::exchange::{Failure, Idempotency, Replay};
#[cfg(not(feature = "oauth"))]
use crate::exchange::no_dpop::{DpopProver, dpop_setter};
use crate::exchange::retry::RetryPolicy;
#[cfg(feature = "oauth")]
use crate::oauth::dpop::DpopProver;
use crate::origin::builder::OriginsBuilder;
use crate::runtime::lock::Mutex;

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
/// use keyfob::EnvToken;
/// use keyfob::tower::{AuthenticationLayer, ReplayCloned};
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
/// use keyfob::EnvToken;
/// use keyfob::tower::{AuthenticationLayer, ReplayBuffered};
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
            binding: OriginsBuilder::default(),
            prover: None,
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

impl<S: Clone, P: Clone> Layer<S> for AuthenticationLayer<P> {
    type Service = AuthenticationService<S, P>;

    fn layer(&self, inner: S) -> AuthenticationService<S, P> {
        let calls = Calls {
            shared: Arc::clone(&self.shared),
            replay: self.replay.clone(),
            spare: Mutex::new(inner.clone()),
        };
        AuthenticationService {
            inner,
            calls: Arc::new(calls),
        }
    }
}

/// A service whose requests carry a fresh token; made by an [`AuthenticationLayer`].
pub struct AuthenticationService<S, P = ReplayEmpty> {
    inner: S,
    calls: Arc<Calls<S, P>>,
}

impl<S, P, B, R> Service<Request<B>> for AuthenticationService<S, P>
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
        let calls = &*self.calls;
        let Shared {
            authenticator,
            policy,
            alarm,
            ..
        } = &*calls.shared;
        if let Err(error) = authenticator.origins().check_uri(request.uri()) {
            return Box::pin(ready(Err(error.into())));
        }
        let (head, body) = request.into_parts();
        // Polled by the service before that waits.
        let mut context = Context::from_waker(Waker::noop());
        let (body, kept) = calls.replay.keep(body, &mut context);
        let repeatable = match kept {
            Some(_) => Replay::Possible,
            None => Replay::Impossible,
        };
        let now = authenticator.clock().elapsed();
        let effect = Idempotency::of(&head.method, &head.headers);
        let exchange = authenticator.exchange(Arc::clone(policy), effect, repeatable, now);
        let sends = Sends {
            head: KeptHead::of(&head, repeatable),
            calls: Arc::clone(&self.calls),
            service: None,
            kept,
        };
        let mut request = Request::from_parts(head, body);
        let Some(lease) = authenticator.tokens().fresh() else {
            let clone = self.inner.clone();
            // The clone may not be ready; what was made ready is what is called.
            let service = mem::replace(&mut self.inner, clone);
            return Box::pin(when_there_is_a_token(exchange, sends, service, request));
        };
        let url = || authenticator.origins().url_of(request.uri());
        match authenticator.credential(&lease, request.method(), url) {
            Ok(credential) => credential.apply(request.headers_mut()),
            Err(error) => return Box::pin(ready(Err(error.into()))),
        }
        let answer = self.inner.call(request);
        Box::pin(Answering {
            answer: UntilStalled::new(answer, None, Some(alarm)),
            course: Some((exchange, lease, sends)),
            rest: None,
        })
    }
}

impl<S: Clone, P> Clone for AuthenticationService<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            calls: Arc::clone(&self.calls),
        }
    }
}

/// Makes an [`AuthenticationLayer`] with settings of your own.
///
/// ```
/// use std::time::Duration;
/// use keyfob::{EnvToken, RetryPolicy};
/// use keyfob::tower::AuthenticationLayer;
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
    binding: OriginsBuilder,
    prover: Option<DpopProver>,
    retry: RetryPolicy,
    timeout: Duration,
    classify: Arc<Classify>,
    replay: P,
}

impl AuthenticationLayerBuilder {
    /// How long an attempt may wait for the head of its answer, unless set.
    pub const TIMEOUT: Duration = Duration::from_secs(20);
}

impl<P> AuthenticationLayerBuilder<P> {
    origin_setters!();
    dpop_setter!();

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
    /// [`ReplayCloned`](crate::tower::ReplayCloned) is for bodies in memory, [`ReplayBuffered`](crate::tower::ReplayBuffered) for boxed
    /// ones as of gRPC clients. A closure decides for each body: `|body: &MyBody| body.try_clone()`.
    pub fn replay<Q>(self, replay: Q) -> AuthenticationLayerBuilder<Q> {
        AuthenticationLayerBuilder {
            tokens: self.tokens,
            binding: self.binding,
            prover: self.prover,
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
    /// use keyfob::EnvToken;
    /// use keyfob::exchange::Failure;
    /// use keyfob::tower::AuthenticationLayer;
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
                authenticator: Authenticator::with_prover(self.tokens, origins, self.prover),
                // Layers made with one policy do not draw on one budget.
                policy: Arc::new(self.retry.with_own_budget()),
                alarm,
                classify: self.classify,
            }),
            replay: self.replay,
        })
    }
}

impl<P> fmt::Debug for AuthenticationLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayer")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for AuthenticationService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationService")
            .field("inner", &self.inner)
            .field("shared", &self.calls.shared)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for AuthenticationLayerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayerBuilder")
            .field("tokens", &self.tokens)
            .field("binding", &self.binding)
            .field("prover", &self.prover)
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
