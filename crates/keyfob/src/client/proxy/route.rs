//! One upstream server with its credential.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::on;
use tower_layer::Layer;
use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::idle_timeout::IdleTimeout;
use crate::client::proxy::allowed::Allowed;
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::expectation::{Expectation, PATIENCE};
use crate::client::proxy::failure::problem_of;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::recorded_body::{ReplayRecorded, RequestBody};
use crate::client::proxy::report::Report;
use crate::client::proxy::route_builder::RouteBuilder;
use crate::client::proxy::target::{Base, check_path};
use crate::client::proxy::upstream::Upstream;
use crate::client::proxy::{grpc, request_head, response_head, upgrade};
use crate::client::tower::layer::{AuthenticationLayerBuilder, AuthenticationService};
use crate::error::error::{BoxError, Error};
use crate::origin::ca_file::trust_file;
use crate::origin::origin::Origin;
use crate::pool::key::PoolKey;
use crate::pool::pool::TokenPool;

/// One upstream server with its credential. Clones share its connections, its token and its retry budget.
///
/// ```
/// use keyfob::EnvToken;
/// use keyfob::proxy::{Proxy, Route};
///
/// let github = Route::new("github", "https://api.github.com/", EnvToken::new("GITHUB_TOKEN"))?;
/// let proxy = Proxy::new([github])?;
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone)]
pub struct Route(Arc<Shared>);

/// What all clones of a route share.
struct Shared {
    name: Arc<str>,
    base: Base,
    tokens: TokenCache,
    pool: Option<TokenPool>,
    service: AuthenticationService<Upstream, ReplayRecorded>,
    replay_limit: usize,
    /// How long an upstream may be silent about `Expect`.
    patience: IdleTimeout,
    allowed: Allowed,
}

impl Route {
    /// Makes a route with the default settings.
    ///
    /// # Errors
    ///
    /// As [`RouteBuilder::build`].
    pub fn new(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        tokens: impl Into<TokenCache>,
    ) -> Result<Self, Error> {
        Self::builder(name, base_url, tokens).build()
    }

    /// Makes a builder, for settings of your own.
    pub fn builder(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        tokens: impl Into<TokenCache>,
    ) -> RouteBuilder {
        RouteBuilder::new(name.into(), base_url.as_ref(), tokens.into())
    }

    /// The name of the route.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The URL of the upstream below which requests are sent. Its path ends with a slash.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        self.0.base.url()
    }

    /// The token cache. If the route has a [`pool`](Self::pool), this one never has a token.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        &self.0.tokens
    }

    /// The pool that the route takes the token of each request from, if it was [given one](RouteBuilder::pool).
    #[must_use]
    pub fn pool(&self) -> Option<&TokenPool> {
        self.0.pool.as_ref()
    }

    /// Sends a request to the upstream's origin, and returns its response, or one that says what failed.
    ///
    /// The path of the request is that of the upstream. Scheme, host and port of its URI and its `Host` are replaced, so the
    /// caller must have checked that the client meant this origin. [`Proxy::respond`](crate::proxy::Proxy::respond)
    /// translates paths and `Location` for clients that do not know the upstream's URL; this does not.
    ///
    /// Each response has a [`Report`] among its extensions.
    pub async fn send<B>(&self, request: Request<B>) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let target = request.uri().path_and_query().cloned();
        let target = target.ok_or_else(|| Problem::bad_request("the request has no path"));
        self.respond(request, target, None).await
    }

    /// Sends a request whose path is below the base URL, for a client that sees the route at `mount`.
    pub(super) async fn send_below<B>(
        &self,
        request: Request<B>,
        below: &str,
        mount: &str,
    ) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let below = match below {
            "" => "/",
            below => below,
        };
        let target =
            check_path(below).and_then(|()| self.0.base.path_of(below, request.uri().query()));
        self.respond(request, target, Some(mount)).await
    }

    async fn respond<B>(
        &self,
        request: Request<B>,
        target: Result<PathAndQuery, Problem>,
        mount: Option<&str>,
    ) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut report = Report {
            route: Some(Arc::clone(&self.0.name)),
            ..Report::default()
        };
        let is_grpc = grpc::is_call(request.headers());
        let sent = async {
            let target = target?;
            let mut response = self.exchange(request, target.clone(), &mut report).await?;
            if let Some(mount) = mount {
                let (base, sent) = (&self.0.base, target.as_str());
                response_head::View { base, sent, mount }.rewrite(response.headers_mut());
            }
            Ok(response)
        };
        match sent.await {
            Ok(mut response) => {
                response.extensions_mut().insert(report);
                response
            }
            Err(problem) => {
                let problem: Problem = problem;
                let detail = is_grpc.then(|| problem.detail.clone());
                let mut response = problem.into_response(report);
                if let Some(detail) = detail {
                    grpc::describe(&mut response, &detail);
                }
                response
            }
        }
    }

    async fn exchange<B>(
        &self,
        mut request: Request<B>,
        target: PathAndQuery,
        report: &mut Report,
    ) -> Result<Response<ProxyBody>, Problem>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let protocol = request.headers().get(UPGRADE).cloned();
        let client = protocol
            .is_some()
            .then(|| upgrade::Client::of(&mut request));
        let (mut head, body) = request.into_parts();
        request_head::check(&head)?;
        check_path(target.path())?;
        self.0.allowed.check(&head.method, target.path())?;
        let wishes = request_head::strip(&mut head);
        request_head::announce_body(&mut head, &body);
        let upgrade = protocol.zip(client).filter(|_| wishes.upgrade);
        if let Some((protocol, _)) = &upgrade {
            upgrade::name(&mut head.headers, protocol.clone());
        }
        head.uri = self.0.base.uri(target);
        // The client speaks the version that it and the upstream agree on.
        head.version = Version::HTTP_11;
        let key = head.extensions.remove::<PoolKey>();
        head.extensions.clear();
        key.map(|key| head.extensions.insert(key));
        let method = head.method.clone();
        let mut request = Request::from_parts(head, ());
        let expectation = wishes
            .continues
            .then(|| Expectation::of(&mut request, &self.0.patience));
        let body = RequestBody::new(body, self.0.replay_limit, expectation);
        let request = request.map(|()| body);
        let response = self.send_through_layer(request, report).await;
        let response = response
            .map_err(|(error, tokens)| problem_of(&*error, &method, (self.base_url(), &tokens)))?;
        passed_on(response, upgrade)
    }

    /// Returns the response, or the error and the cache of the token that the request has or needs.
    async fn send_through_layer(
        &self,
        request: Request<RequestBody>,
        report: &mut Report,
    ) -> Result<Response<Incoming>, (BoxError, TokenCache)> {
        let begun = self.0.service.clone().begin(request);
        let mut begun = begun.map_err(|error| (error.into(), self.0.tokens.clone()))?;
        let response = begun.finish().await;
        let response = response.map_err(|error| (error, begun.tokens().clone()));
        let exchange = begun.exchange();
        report.retries = exchange.retries();
        report.renewals = u32::from(exchange.renewed());
        if exchange.could_not_replay() {
            report.replay = Some("the body of the request is larger than the replay limit");
        }
        response
    }

    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.0.name
    }
}

/// The response of the upstream, as the client gets it.
fn passed_on(
    mut response: Response<Incoming>,
    upgrade: Option<(HeaderValue, upgrade::Client)>,
) -> Result<Response<ProxyBody>, Problem> {
    let protocol = response.headers().get(UPGRADE).cloned();
    response_head::strip(response.headers_mut());
    let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !is_upgraded {
        return Ok(response.map(ProxyBody::upstream));
    }
    let (Some((_, client)), Some(protocol)) = (upgrade, protocol) else {
        return Err(Problem::upstream(
            "the upstream changed to a protocol that the request did not ask for",
        ));
    };
    upgrade::splice(client, on(&mut response));
    upgrade::name(response.headers_mut(), protocol);
    Ok(response.map(|_| ProxyBody::own("")))
}

impl RouteBuilder {
    /// Makes the route. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the name has other characters than `A-Z a-z 0-9 _ - .` or is
    /// `.` or `..`, or if a setting cannot be used, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another machine.
    pub fn build(mut self) -> Result<Route, Error> {
        check_name(&self.name)?;
        let base = self.base.take().map(|url| {
            let origin = Origin::from_url(&url)?;
            Ok((Base::new(url)?, origin))
        });
        let base = base.and_then(|base| self.settings.origins.accept(base));
        if let Some((_, origin)) = &base {
            self.settings.origins.bind(Ok(origin.clone()));
        }
        self.settings.origins.pin_local_names();
        let tokens = self.settings.tokens.clone();
        let timeout = IdleTimeout::new(self.settings.timeout, tokens.clock(), tokens.runtime());
        let patience = IdleTimeout::new(PATIENCE, tokens.clock(), tokens.runtime());
        // The layer cannot see a request body move, so the timeout is below it.
        self.settings.timeout = Duration::MAX;
        let layer = AuthenticationLayerBuilder::of(self.settings, ReplayRecorded).build()?;
        let (base, origin) = base.expect("without a URL there was an error");
        let trust = self.ca_file.as_deref().map(trust_file).transpose()?;
        let upstream = Upstream::new(origin, trust, self.certificate.as_ref(), timeout)?;
        Ok(Route(Arc::new(Shared {
            name: self.name.into(),
            allowed: Allowed::new(self.methods, &self.paths, &base)?,
            base,
            tokens,
            pool: self.pool,
            service: layer.layer(upstream),
            replay_limit: self.replay_limit,
            patience,
        })))
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    // Clients take these two out of a path (RFC 3986 §5.2.4).
    let is_dots = matches!(name, "." | "..");
    match !name.is_empty() && !is_dots && name.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err(Error::input(
            "the name of a route may have only letters, digits, `_`, `-` and `.`, and is not `.` or `..`, because it is part of URLs",
        )),
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.0.name)
            .field("base_url", &self.0.base.url().as_str())
            .finish_non_exhaustive()
    }
}
