//! One upstream server with its credential.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use url::Url;

use crate::cache::cache::TokenCache;
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::report::Report;
use crate::client::proxy::route_builder::RouteBuilder;
use crate::error::error::{BoxError, Error, ErrorKind};

/// One upstream server with its credential. Clones share its connections, its token and its retry budget.
#[derive(Clone)]
pub struct Route(Arc<Shared>);

/// What all clones of a route share.
struct Shared {
    name: Arc<str>,
    base: Url,
    tokens: TokenCache,
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
        &self.0.base
    }

    /// The token cache.
    #[must_use]
    pub fn tokens(&self) -> &TokenCache {
        &self.0.tokens
    }

    /// Sends a request to the upstream's origin, and returns its response, or one that says what failed.
    ///
    /// The path of the request is that of the upstream. Scheme, host and port of its URI and its `Host` are replaced, so the
    /// caller must have checked that the client meant this origin. [`Proxy::respond`](crate::proxy::Proxy::respond)
    /// translates paths and `Location` for clients that do not know the upstream's URL; this does not.
    pub async fn send<B>(&self, request: Request<B>) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        drop(request);
        let report = Report {
            route: Some(Arc::clone(&self.0.name)),
            ..Report::default()
        };
        Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Input,
            "not built yet",
        )
        .into_response(report)
    }

    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.0.name
    }
}

impl RouteBuilder {
    /// Makes the route. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the name has other characters than `A-Z a-z 0-9 _ -`, or a
    /// setting cannot be used, and [`ErrorKind::Origin`](crate::ErrorKind::Origin) for plain http to another machine.
    pub fn build(self) -> Result<Route, Error> {
        let tokens = self.settings.tokens.clone();
        let base = self
            .base
            .ok_or_else(|| Error::input("the base URL of the route cannot be used"))?;
        Ok(Route(Arc::new(Shared {
            name: self.name.into(),
            base,
            tokens,
        })))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.0.name)
            .field("base", &self.0.base.as_str())
            .finish_non_exhaustive()
    }
}
