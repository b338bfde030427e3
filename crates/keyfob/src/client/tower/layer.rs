//! The tower layer: a credential on every request that a client service sends.
//!
//! For programs whose client is a `tower` stack: `hyper-util`, `tonic`, `kube`, or `axum` in front of another server. Where
//! `reqwest` can be used, prefer a session: it follows redirects, and its timeout sees bodies move.

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
use crate::client::settings::{ClientSettings, settings_setters};
use crate::client::tower::kept_head::KeptHead;
use crate::client::tower::replay::{ReplayBody, ReplayEmpty};
use crate::client::tower::service::{
    BegunRequest, Classify, First, LayerRules, ServiceAttempts, SharedService,
};
use crate::error::error::{BoxError, Error};
use crate::exchange::outcome::{Failure, Idempotency, Replay};
use crate::exchange::proof::RequestProof;
use crate::exchange::retry::RetryPolicy;
use crate::runtime::lock::Mutex;

/// Puts a fresh token on the requests of a client service.
///
/// The layer wraps any `Service<http::Request<B>, Response = http::Response<R>>` that can be cloned. Each attempt is
/// authorized anew. After a 401, or a gRPC response with nothing but `UNAUTHENTICATED`, the token is renewed and the
/// request sent once more. Failures are retried as the [`RetryPolicy`] says. A body is sent again only if the layer has
/// a way to do so, see [`replay`](AuthenticationLayerBuilder::replay).
///
/// * A request for an origin that the layer is not bound to is not sent, and is an error. A request whose URI has no
///   authority counts as a request for the layer's origin, if there is exactly one. The service must be connected to it.
/// * Redirects are returned to the caller. Put a service that follows them around this layer, never inside it, and only if
///   the layer is bound to origins: with [`any_https_origin`](AuthenticationLayerBuilder::any_https_origin) it cannot
///   distinguish the origin of a redirect from one that the caller names.
/// * Plain http is allowed to loopback addresses, such as `http://127.0.0.1:50051`. The layer cannot see which address its
///   service connects to, so `http://localhost` has to be allowed like any other name, and a service that sends plain http
///   through a proxy must not be given requests to this machine: the proxy would get the token.
/// * All services of one layer share the token and the retry budget.
/// * Errors are boxed: the service's own error, unchanged, or an [`Error`] if a request is refused or there is no token.
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
/// For a generated gRPC client, whose requests have no authority, it wraps the channel:
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
    rules: Arc<LayerRules>,
    replay: P,
}

impl AuthenticationLayer {
    /// Makes a layer for one origin, with the default settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the origin is not an absolute http(s) one, and
    /// [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another host than this one.
    pub fn new(origin: impl AsRef<str>, tokens: impl Into<TokenCache>) -> Result<Self, Error> {
        Self::builder(tokens).origin(origin).build()
    }

    /// Makes a builder of a layer whose requests each carry the token of one key of a pool.
    ///
    /// The key is the [`PoolKey`](crate::pool::PoolKey) in the request's extensions. A request without one is not sent, and is an
    /// error (R2).
    ///
    /// ```
    /// use http::Request;
    /// use keyfob::pool::PoolKey;
    /// use keyfob::tower::AuthenticationLayer;
    /// use keyfob::{EnvToken, TokenPool};
    ///
    /// let pool = TokenPool::new(|key: &PoolKey| Ok(EnvToken::new(format!("TOKEN_OF_{}", key.subject()))));
    /// let layer = AuthenticationLayer::of_pool(&pool).origin("https://api.example.com").build()?;
    /// // In a service that the layer made:
    /// let mut request = Request::get("https://api.example.com/orders").body(())?;
    /// request.extensions_mut().insert(PoolKey::new("alice")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "pool")]
    pub fn of_pool(pool: &crate::pool::pool::TokenPool) -> AuthenticationLayerBuilder {
        AuthenticationLayerBuilder::new(ClientSettings::new(pool.without_key()).with_pool(pool))
    }

    /// Makes a builder, for settings of your own.
    pub fn builder(tokens: impl Into<TokenCache>) -> AuthenticationLayerBuilder {
        AuthenticationLayerBuilder::new(ClientSettings::new(tokens.into()))
    }
}

impl<P> AuthenticationLayer<P> {
    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        self.rules.client.authenticator.tokens()
    }
}

impl<S: Clone, P: Clone> Layer<S> for AuthenticationLayer<P> {
    type Service = AuthenticationService<S, P>;

    fn layer(&self, inner: S) -> AuthenticationService<S, P> {
        let shared = SharedService {
            rules: Arc::clone(&self.rules),
            replay: self.replay.clone(),
            spare: Mutex::new(inner.clone()),
        };
        AuthenticationService {
            inner,
            shared: Arc::new(shared),
        }
    }
}

/// A service whose requests carry a fresh token; made by an [`AuthenticationLayer`].
pub struct AuthenticationService<S, P = ReplayEmpty> {
    inner: S,
    shared: Arc<SharedService<S, P>>,
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
        match self.begin(request) {
            Ok(mut begun) => Box::pin(async move { begun.finish().await }),
            Err(error) => Box::pin(ready(Err(error.into()))),
        }
    }
}

impl<S, P> AuthenticationService<S, P> {
    /// Begins a request. If there is a token, its first attempt is begun too.
    pub(crate) fn begin<B, R>(
        &mut self,
        request: Request<B>,
    ) -> Result<BegunRequest<S, P, B>, Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        P: ReplayBody<B>,
    {
        let shared = Arc::clone(&self.shared);
        let rules = &shared.rules.client;
        let (head, body) = request.into_parts();
        // Waking is not needed: a body that is not there at once is polled by the service.
        let (body, kept) = shared
            .replay
            .keep(body, &mut Context::from_waker(Waker::noop()));
        let replay = match kept {
            Some(_) => Replay::Possible,
            None => Replay::Impossible,
        };
        let idempotency = Idempotency::of(&head.method, &head.headers);
        let authenticator = &rules.authenticator;
        let exchange = authenticator.begin(&head.uri, &rules.policy, idempotency, replay)?;
        let of_request = rules.authenticator_of(&head.extensions)?;
        let authenticator = of_request.as_deref().unwrap_or(authenticator);
        let lease = authenticator.tokens().fresh();
        let kept_head = KeptHead::of(&head, replay);
        let request = Request::from_parts(head, body);
        let mut attempts = ServiceAttempts {
            head: kept_head,
            kept,
            first: None,
            service: None,
            shared,
        };
        let first = match &lease {
            // The service was made ready, so it must be this one that is called.
            Some(lease) => First::Sent(self.inner.call(attempts.authorized(request, lease)?)),
            None => {
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                First::Waiting(Box::new((ready, request)))
            }
        };
        attempts.first = Some(first);
        Ok(BegunRequest {
            exchange,
            of_request,
            lease,
            attempts,
        })
    }
}

impl<S: Clone, P> Clone for AuthenticationService<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Builds an [`AuthenticationLayer`] with settings of your own.
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
    settings: ClientSettings,
    classify: Arc<Classify>,
    replay: P,
}

impl AuthenticationLayerBuilder {
    /// The timeout of each attempt, unless [set](Self::timeout).
    pub const TIMEOUT: Duration = crate::exchange::outcome::DEFAULT_TIMEOUT;

    fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            classify: Arc::new(|_| None),
            replay: ReplayEmpty,
        }
    }
}

impl<P> AuthenticationLayerBuilder<P> {
    /// For another interface of this crate that is built on the layer.
    #[cfg(feature = "proxy")]
    pub(crate) fn of(settings: ClientSettings, replay: P) -> Self {
        Self {
            settings,
            classify: Arc::new(|_| None),
            replay,
        }
    }

    settings_setters!();

    /// Sets how bodies are sent again; unless set, only requests without a body are ([`ReplayEmpty`]).
    ///
    /// [`ReplayCloned`](crate::tower::ReplayCloned) is for bodies in memory, [`ReplayBuffered`](crate::tower::ReplayBuffered) for boxed
    /// ones, such as those of gRPC clients. A closure decides for each body: `|body: &MyBody| body.try_clone()`.
    pub fn replay<Q>(self, replay: Q) -> AuthenticationLayerBuilder<Q> {
        AuthenticationLayerBuilder {
            settings: self.settings,
            classify: self.classify,
            replay,
        }
    }

    /// Sets what the service's own errors mean for a retry.
    ///
    /// On `None`, and unless set, keyfob classifies the error itself. It knows the errors of `hyper-util` and of `io`: only an
    /// error before there was a connection counts as [`Failure::Connect`] or [`Failure::ConnectionRefused`], which are
    /// retried whatever the method. An error without a known cause counts as [`Failure::Broken`]. Set it for a client with
    /// errors of its own:
    ///
    /// ```
    /// use std::fmt;
    ///
    /// use keyfob::EnvToken;
    /// use keyfob::exchange::Failure;
    /// use keyfob::tower::AuthenticationLayer;
    ///
    /// #[derive(Debug)]
    /// struct PoolIsFull;
    /// # impl fmt::Display for PoolIsFull { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("full") } }
    /// # impl std::error::Error for PoolIsFull {}
    ///
    /// let layer = AuthenticationLayer::builder(EnvToken::new("API_TOKEN"))
    ///     .origin("https://api.example.com")
    ///     .classify(|error| error.is::<PoolIsFull>().then_some(Failure::Connect))
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
    /// Its [`timeout`](Self::timeout) cannot see a body move: being ready, connecting, sending the request and waiting for the
    /// head of the response count as one step. The response body has no timeout. Set a longer one for long uploads and for
    /// streaming calls whose response begins late.
    ///
    /// # Errors
    ///
    /// As [`AuthenticationLayer::new`]; also if no origin was given.
    pub fn build(self) -> Result<AuthenticationLayer<P>, Error> {
        let rules = LayerRules {
            client: self.settings.into_rules()?,
            classify: self.classify,
        };
        Ok(AuthenticationLayer {
            rules: Arc::new(rules),
            replay: self.replay,
        })
    }
}

impl<P> fmt::Debug for AuthenticationLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayer")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for AuthenticationService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationService")
            .field("inner", &self.inner)
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for AuthenticationLayerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationLayerBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
