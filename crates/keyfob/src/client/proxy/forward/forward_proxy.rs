//! The proxy of one run.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use hyper::service::service_fn;

use crate::client::proxy::forward::authority::RunAuthority;
use crate::client::proxy::forward::bound_origin::BoundOrigin;
use crate::client::proxy::forward::connection::{Rules, Visit};
use crate::client::proxy::forward::destination::AllowedHosts;
use crate::client::proxy::forward::stand_in::random_text;
use crate::client::proxy::listener::{ListenAddress, Listener};
use crate::client::proxy::server::Server;
use crate::client::proxy::server::connection::Connection;
use crate::client::proxy::server::stop::Stopping;
use crate::error::error::Error;
use crate::runtime::lock::Mutex;
use crate::token::secret::Secret;

/// A forward proxy for one program, with a secret and a certificate authority of its own. Clones share them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::proxy::forward::{BoundOrigin, ForwardProxy, StandIn};
/// use keyfob::proxy::{Limits, Listener, Route, Server, Stop};
/// use keyfob::{EnvToken, TokenCache};
///
/// let stand_in = StandIn::random(StandIn::PREFIX)?;
/// let url = "https://api.example.com";
/// let tokens = TokenCache::new(EnvToken::new("API_TOKEN"));
/// let api = BoundOrigin::new(url.parse()?, tokens, stand_in.clone(), move |tokens| Route::new("api", url, tokens));
/// let proxy = ForwardProxy::builder().origin(api).allow_host("pypi.org").build()?;
///
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// let url = proxy.url(listener.address()); // for HTTPS_PROXY of the program
/// let authority = proxy.authority_pem(); // for its CA file
/// let (server, stop) = (Server::new(Limits::default()), Stop::new());
/// let stopping = stop.watch();
/// tokio::spawn(async move { proxy.serve(&server, listener, stopping).await });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ForwardProxy(Arc<Rules>);

impl ForwardProxy {
    /// Makes a builder.
    pub fn builder() -> ForwardProxyBuilder {
        ForwardProxyBuilder {
            bound: Vec::new(),
            allowed: AllowedHosts::default(),
            requires_stand_in: false,
            error: None,
        }
    }

    /// The URL of the proxy for the program. It has the secret of the run.
    #[must_use]
    pub fn url(&self, address: &ListenAddress) -> String {
        format!("http://run:{}@{address}", self.0.secret.expose())
    }

    /// The certificate of the run's authority, in PEM. It is no secret.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        self.0.authority.pem()
    }

    /// Accepts connections at a listener until it is stopped; see [`Server::serve`]. A tunnel is part of its connection.
    pub async fn serve(self, server: &Server, listener: Listener, stopping: Stopping) {
        let make = |connection: &Arc<Connection>| {
            let visit = Visit {
                rules: Arc::clone(&self.0),
                server: server.clone(),
                connection: Arc::clone(connection),
            };
            service_fn(move |request| {
                let visit = visit.clone();
                async move { Ok::<_, Infallible>(visit.respond(request).await) }
            })
        };
        // The secret decides.
        let accepts = |_| true;
        server.serve(listener, stopping, accepts, make).await;
    }
}

/// Builds a [`ForwardProxy`].
#[must_use]
pub struct ForwardProxyBuilder {
    bound: Vec<Arc<BoundOrigin>>,
    allowed: AllowedHosts,
    requires_stand_in: bool,
    error: Option<Error>,
}

impl ForwardProxyBuilder {
    /// Adds a server with its credential.
    pub fn origin(mut self, origin: BoundOrigin) -> Self {
        self.bound.push(Arc::new(origin));
        self
    }

    /// Allows connections without a credential to a host: `pypi.org` for the ports 80 and 443, or `db.example.com:8443`.
    ///
    /// They are passed on unopened. A name that resolves to this machine or to a metadata service is refused all the same.
    pub fn allow_host(mut self, host: impl AsRef<str>) -> Self {
        if let Err(error) = self.allowed.allow(host.as_ref()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Allows connections without a credential to all hosts on the internet.
    pub fn allow_other_hosts(mut self) -> Self {
        self.allowed.allow_others();
        self
    }

    /// Requires the stand-in in each request that is to get a token.
    ///
    /// A request without it gets a 401 with a challenge, after which programs such as git ask for their credentials.
    pub fn require_stand_in(mut self) -> Self {
        self.requires_stand_in = true;
        self
    }

    /// Makes the proxy, its secret and its authority.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) for an allowed host that cannot be read, or if two servers are the same.
    pub fn build(self) -> Result<ForwardProxy, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut origins = HashSet::new();
        for bound in &self.bound {
            if !origins.insert(bound.origin()) {
                return Err(Error::input(format!(
                    "two profiles are bound to {}, so it is not clear whose token a request there gets; leave one of them out",
                    bound.origin()
                )));
            }
        }
        let hosts = self.bound.iter().map(|bound| bound.origin().host());
        Ok(ForwardProxy(Arc::new(Rules {
            secret: Secret::new(random_text()?)?,
            authority: RunAuthority::new(hosts)?,
            bound: self.bound.clone(),
            allowed: self.allowed,
            requires_stand_in: self.requires_stand_in,
            reported: Mutex::new(HashSet::new()),
        })))
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardProxy")
            .field("bound", &self.0.bound)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ForwardProxyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardProxyBuilder")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}
