//! A set of routes, and which of them a request takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;

use crate::client::proxy::arrival::{Arrival, Choice};
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::report::Report;
use crate::client::proxy::route::Route;
use crate::error::error::{BoxError, Error, ErrorKind};

/// The routes of a reverse proxy. Clones share them.
#[derive(Clone, Debug)]
pub struct Proxy {
    routes: Arc<BTreeMap<Arc<str>, Route>>,
}

impl Proxy {
    /// Makes a proxy of its routes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if two routes have the same name, or there is none.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Result<Self, Error> {
        let mut named = BTreeMap::new();
        for route in routes {
            if let Some(other) = named.insert(Arc::clone(route.shared_name()), route) {
                return Err(Error::input(format!(
                    "two routes have the name `{}`; give each a name of its own",
                    other.name()
                )));
            }
        }
        match named.is_empty() {
            true => Err(Error::input("the proxy has no route; give it at least one")),
            false => Ok(Self {
                routes: Arc::new(named),
            }),
        }
    }

    /// All routes, by name.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// The route of this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// Sends a request on its route, and returns the response of the upstream, or one that says what failed.
    ///
    /// Each response has a [`Report`] among its extensions.
    pub async fn respond<B>(&self, request: Request<B>, arrival: &Arrival) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let name = match &arrival.choice {
            Choice::Route(name) => Some(&**name),
            Choice::ByPath => request.uri().path().split('/').nth(1),
        };
        match name.and_then(|name| self.route(name)) {
            Some(route) => route.send(request).await,
            None => Problem::new(
                StatusCode::NOT_FOUND,
                ErrorKind::Input,
                "there is no such route",
            )
            .into_response(Report::default()),
        }
    }
}
