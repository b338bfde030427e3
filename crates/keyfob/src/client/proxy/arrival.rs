//! How a request came in.

use std::sync::Arc;

use http::HeaderName;

/// The header field in which a client may send its secret, if it cannot use another one.
///
/// The proxy removes it from every request, as it does with `Authorization` and `Proxy-Authorization`.
pub const CLIENT_SECRET: HeaderName = HeaderName::from_static("keyfob-client-secret");

/// How a request came in: by which listener, and from which client.
///
/// One value serves all requests of a connection.
///
/// ```
/// use keyfob::proxy::Arrival;
///
/// let by_path = Arrival::by_path();
/// let own_socket = Arrival::on_route("github").client("build-agent");
/// ```
#[derive(Clone, Debug)]
pub struct Arrival {
    pub(super) choice: Choice,
    client: Option<Arc<str>>,
}

/// How the route of a request is chosen.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// By the first segment of the path, which is removed.
    ByPath,
    /// The listener belongs to the route of this name. The path is that below the route's base URL.
    Route(Arc<str>),
}

impl Arrival {
    /// A listener for all routes: `/NAME/…` is sent on the route of that name.
    #[must_use]
    pub fn by_path() -> Self {
        Self {
            choice: Choice::ByPath,
            client: None,
        }
    }

    /// A listener of one route.
    #[must_use]
    pub fn on_route(name: impl Into<Arc<str>>) -> Self {
        Self {
            choice: Choice::Route(name.into()),
            client: None,
        }
    }

    /// The name of the route of a request with this path, which may not exist.
    pub(super) fn route_of<'a>(&'a self, path: &'a str) -> Option<&'a str> {
        match &self.choice {
            Choice::Route(name) => Some(name),
            Choice::ByPath => path.split('/').nth(1),
        }
    }

    /// Sets what the log calls the client. It must be no secret.
    #[must_use]
    pub fn client(mut self, label: impl Into<Arc<str>>) -> Self {
        self.client = Some(label.into());
        self
    }

    /// What the log calls the client.
    #[must_use]
    pub fn client_label(&self) -> Option<&str> {
        self.client.as_deref()
    }
}
