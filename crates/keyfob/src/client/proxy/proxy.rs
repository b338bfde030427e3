//! A set of routes, and which of them a request takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Body;

use crate::client::proxy::arrival::{Arrival, Choice};
use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::problem::Problem;
use crate::client::proxy::report::Report;
use crate::client::proxy::route::Route;
use crate::error::error::{BoxError, Error};

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

    /// The same routes without those whose names are not included. There may be none left.
    #[must_use]
    pub fn only(&self, includes: impl Fn(&str) -> bool) -> Self {
        let routes = self.routes.iter().filter(|(name, _)| includes(name));
        let routes = routes.map(|(name, route)| (Arc::clone(name), route.clone()));
        Self {
            routes: Arc::new(routes.collect()),
        }
    }

    /// Sends a request on its route, and returns the response of the upstream, or one that says what failed.
    ///
    /// Each response has a [`Report`] among its extensions.
    pub async fn respond<B>(&self, request: Request<B>, arrival: &Arrival) -> Response<ProxyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if request.version() < Version::HTTP_2 && request.uri().authority().is_some() {
            let problem = Problem::bad_request(
                "the proxy is used by a base URL, not as the proxy of a client; send the path alone",
            );
            return problem.into_response(Report::default());
        }
        let uri = request.uri().clone();
        let (name, mount, below) = match &arrival.choice {
            Choice::Route(name) => (&**name, "", uri.path()),
            Choice::ByPath => by_path(uri.path()),
        };
        match self.route(name) {
            Some(route) => route.send_below(request, below, mount).await,
            None => Problem::input(StatusCode::NOT_FOUND, "the proxy has no such route")
                .into_response(Report::default()),
        }
    }
}

/// The name in the first segment of a path, the path of that segment, and the rest.
fn by_path(path: &str) -> (&str, &str, &str) {
    let Some(segments) = path.strip_prefix('/') else {
        return ("", "", path);
    };
    let name = segments.split('/').next().unwrap_or_default();
    let (mount, below) = path.split_at(name.len() + 1);
    (name, mount, below)
}
