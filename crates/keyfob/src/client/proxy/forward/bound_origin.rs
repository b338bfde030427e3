//! A server with its credential, and the routes to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::task::spawn_blocking;

use crate::cache::cache::TokenCache;
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::forward::form::Form;
use crate::client::proxy::forward::stand_in::StandIn;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::report::Report;
use crate::client::proxy::route::Route;
use crate::error::error::{BoxError, Error};
use crate::origin::origin::Origin;
use crate::runtime::lock::{Mutex, lock};

/// A server with its credential, and the stand-in for that.
pub struct BoundOrigin {
    origin: Origin,
    tokens: TokenCache,
    stand_in: StandIn,
    make_route: Arc<MakeRoute>,
    /// They are made when they are needed, because the authorities of the system take long to read.
    routes: Mutex<HashMap<Form, Route>>,
}

type MakeRoute = dyn Fn(TokenCache) -> Result<Route, Error> + Send + Sync;

impl BoundOrigin {
    /// Makes one of an origin, its tokens, the stand-in for them, and what makes a route to the origin with given tokens.
    ///
    /// The route is made at the first request.
    pub fn new(
        origin: Origin,
        tokens: impl Into<TokenCache>,
        stand_in: StandIn,
        make_route: impl Fn(TokenCache) -> Result<Route, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            origin,
            tokens: tokens.into(),
            stand_in,
            make_route: Arc::new(make_route),
            routes: Mutex::new(HashMap::new()),
        }
    }

    /// The server.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn stand_in(&self) -> &StandIn {
        &self.stand_in
    }

    /// Sends a request with the token in this form.
    pub(super) async fn send<B>(&self, form: Form, request: Request<B>) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match self.route(form).await {
            Ok(route) => route.send(request).await,
            Err(error) => Problem::new(StatusCode::BAD_GATEWAY, error.kind(), error.to_string())
                .into_response(Report::default()),
        }
    }

    async fn route(&self, form: Form) -> Result<Route, Error> {
        {
            let routes = lock(&self.routes);
            if let Some(route) = routes.get(&form) {
                return Ok(route.clone());
            }
            if routes.len() >= MOST_FORMS {
                return Err(Error::input(
                    "the program sends its token in too many forms; use one user for all requests",
                ));
            }
        }
        let make_route = Arc::clone(&self.make_route);
        let tokens = form.tokens(&self.tokens);
        // It reads files.
        let route = spawn_blocking(move || make_route(tokens)).await;
        let route = route.map_err(|_| Error::unavailable("the route could not be made"))??;
        let mut routes = lock(&self.routes);
        // If two requests come here at once, both get the route of the first.
        Ok(routes.entry(form).or_insert(route).clone())
    }
}

impl fmt::Debug for BoundOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundOrigin")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Each form has a route of its own, and a program could use any number of users.
const MOST_FORMS: usize = 16;
