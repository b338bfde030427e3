//! Which requests a proxy takes: those of invited clients, and none that a web page has caused (P3).
//!
//! A web page can make a browser send requests to this machine. It cannot read a client's secret, and a browser says where such
//! a request comes from. So a request has to name this proxy as its host, which stops DNS rebinding, and must not come from
//! another site. The secret tells programs of other users apart from those that are invited.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, ORIGIN, PROXY_AUTHORIZATION,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use crate::client::proxy::admission::hosts::Hosts;
use crate::client::proxy::admission::refusal::{Refusal, single};
use crate::client::proxy::admission::subjects::Subjects;
use crate::client::proxy::arrival::CLIENT_SECRET;
use crate::client::proxy::client_secrets::{ClientSecrets, Presented};
use crate::client::proxy::listener::{ListenAddress, Listener, Peer};
use crate::error::error::Error;
use crate::pool::key::PoolKey;

pub(crate) mod hosts;
pub(crate) mod refusal;
pub(crate) mod subjects;

/// Decides who may use a listener. Clones share the secrets.
///
/// * A unix socket takes connections of its own user and of root, who can read the memory of every process anyway. A secret is
///   optional there. One in a header that is only for the proxy has to be right.
/// * A TCP socket takes requests with a client's secret. Without any secret, it takes none.
/// * Each request names the proxy as its host: the address of the listener, `localhost`, or a name that was added.
/// * A request that a web page of another site has caused is refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), keyfob::Error> {
/// use keyfob::proxy::{Admission, ClientSecrets, Listener};
///
/// let mut clients = ClientSecrets::default();
/// clients.add("build-agent", "a secret of at least 16 characters".replace(' ', "-"))?;
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// let admission = Admission::new(&listener).clients(clients).host("proxy.internal:8125")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admission {
    hosts: Hosts,
    clients: Arc<ClientSecrets>,
    secret: Secret,
    users: Vec<u32>,
    /// The clients of the routes that are not for all.
    routes: BTreeMap<String, Vec<String>>,
    /// The subjects of the clients on routes with a token for each of many.
    subjects: BTreeMap<String, Subjects>,
}

/// Whether a request needs a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secret {
    Required,
    Optional,
    /// Anyone who can connect may ask, as for metrics.
    Unused,
}

impl Admission {
    /// The rules for a listener, which knows no client yet.
    #[must_use]
    pub fn new(listener: &Listener) -> Self {
        let secret = match listener.address() {
            ListenAddress::Unix(_) => Secret::Optional,
            ListenAddress::Tcp(_) => Secret::Required,
        };
        Self {
            hosts: Hosts::of(listener),
            clients: Arc::default(),
            secret,
            users: own_users(),
            routes: BTreeMap::new(),
            subjects: BTreeMap::new(),
        }
    }

    /// The rules for a listener that shows nothing that needs a secret, such as one for health and metrics.
    #[must_use]
    pub fn without_secret(listener: &Listener) -> Self {
        Self {
            secret: Secret::Unused,
            ..Self::new(listener)
        }
    }

    /// Takes the requests of these clients, in place of those that were given before.
    #[must_use]
    pub fn clients(mut self, clients: impl Into<Arc<ClientSecrets>>) -> Self {
        self.clients = clients.into();
        self
    }

    /// Takes requests for this host too: a name, or a name and a port.
    ///
    /// A name alone is taken without a port and with the port of the listener.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it is no host, such as a URL.
    pub fn host(mut self, host: &str) -> Result<Self, Error> {
        self.hosts.add(host)?;
        Ok(self)
    }

    /// Takes connections of this user as well, by its number, if the listener is a unix socket.
    ///
    /// The file of a socket that keyfob makes is for its own user only. So this is for sockets from systemd.
    #[must_use]
    pub fn user(mut self, uid: u32) -> Self {
        self.users.push(uid);
        self
    }

    /// Lets only these clients use a route.
    #[must_use]
    pub fn only<C: Into<String>>(
        mut self,
        route: impl Into<String>,
        clients: impl IntoIterator<Item = C>,
    ) -> Self {
        let clients = clients.into_iter().map(Into::into).collect();
        self.routes.insert(route.into(), clients);
        self
    }

    /// Sets whose token the requests of each client carry on a route that takes its tokens from a pool.
    ///
    /// Without this, the requests on such a route have no token and are not sent.
    #[must_use]
    pub fn subjects(mut self, route: impl Into<String>, subjects: Subjects) -> Self {
        self.subjects.insert(route.into(), subjects);
        self
    }

    /// The key of the token for a request of this client, or of one without a secret; `None` if the route has one token for all.
    ///
    /// The request is refused if the route is not for this client.
    pub(super) fn key(
        &self,
        route: Option<&str>,
        client: Option<&str>,
        headers: &mut HeaderMap,
    ) -> Result<Option<PoolKey>, Refusal> {
        let only = route.and_then(|route| self.routes.get(route));
        let is_allowed = only.is_none_or(|only| only.iter().any(|other| Some(&**other) == client));
        if !is_allowed {
            return Err(Refusal::Client);
        }
        let subjects = route.and_then(|route| self.subjects.get(route));
        let key = subjects.map(|subjects| subjects.key(client, headers));
        key.transpose()
    }

    /// Whether a connection may be used at all.
    #[must_use]
    pub fn accepts(&self, peer: Peer) -> bool {
        match peer {
            Peer::User(uid) => self.users.contains(&uid),
            Peer::Address(_) => true,
        }
    }

    /// The name of the client that sent a request, unless it must be refused.
    ///
    /// `None` if the client has no secret and needs none.
    ///
    /// # Errors
    ///
    /// Why the request is refused, with a response that says so.
    pub fn admit(&self, request: &Parts) -> Result<Option<Arc<str>>, Refusal> {
        let host = host_of(request)?;
        if !self.hosts.contains(host) {
            return Err(Refusal::Host);
        }
        refuse_other_sites(request, Some(host))?;
        self.client(&request.headers, &CREDENTIALS)
    }

    /// The same for a forward proxy, whose requests name the host that they are for.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_forward(&self, request: &Parts) -> Result<Option<Arc<str>>, Refusal> {
        refuse_other_sites(request, None)?;
        // `Authorization` is meant for the server.
        self.client(&request.headers, &CREDENTIALS[..2])
            .map_err(|refusal| refusal.of_forward_proxy())
    }

    fn client(
        &self,
        headers: &HeaderMap,
        places: &[HeaderName],
    ) -> Result<Option<Arc<str>>, Refusal> {
        if self.secret == Secret::Unused {
            return Ok(None);
        }
        let found = places.iter().find(|name| headers.contains_key(*name));
        let Some(place) = found else {
            return self.without_client(Refusal::NoSecret);
        };
        match self.clients.find(Presented::of(single(headers, place)?)) {
            Some(name) => Ok(Some(name)),
            // Many programs cannot send a request without some key in this field.
            None if *place == AUTHORIZATION => self.without_client(Refusal::WrongSecret),
            None => Err(Refusal::WrongSecret),
        }
    }

    fn without_client(&self, refusal: Refusal) -> Result<Option<Arc<str>>, Refusal> {
        match self.secret {
            Secret::Required => Err(refusal),
            Secret::Optional | Secret::Unused => Ok(None),
        }
    }
}

/// The host that a request names, in lower case or not.
fn host_of(request: &Parts) -> Result<&str, Refusal> {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    let header = match request.headers.get(HOST) {
        Some(_) => Some(
            single(&request.headers, &HOST)?
                .to_str()
                .map_err(|_| Refusal::Host)?,
        ),
        None => None,
    };
    match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            Err(Refusal::Host)
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(Refusal::Host),
    }
}

/// Refuses what a browser sends for a page of another site.
fn refuse_other_sites(request: &Parts, host: Option<&str>) -> Result<(), Refusal> {
    let headers = &request.headers;
    if request.method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(Refusal::Browser);
    }
    if headers.contains_key(SEC_FETCH_SITE) {
        // Any word but these two means another site, or is one that no browser sends.
        let site = single(headers, &SEC_FETCH_SITE)?;
        if site != "same-origin" && site != "none" {
            return Err(Refusal::Browser);
        }
    }
    if headers.contains_key(ORIGIN) {
        let origin = single(headers, &ORIGIN)?
            .to_str()
            .map_err(|_| Refusal::Browser)?;
        let own = origin.strip_prefix("http://").zip(host);
        if !own.is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host)) {
            return Err(Refusal::Browser);
        }
    }
    Ok(())
}

/// This user, and root.
#[cfg(unix)]
fn own_users() -> Vec<u32> {
    vec![rustix::process::geteuid().as_raw(), 0]
}

#[cfg(not(unix))]
fn own_users() -> Vec<u32> {
    Vec::new()
}

/// The fields that may carry a client's secret. The first one that is there counts.
const CREDENTIALS: [HeaderName; 3] = [CLIENT_SECRET, PROXY_AUTHORIZATION, AUTHORIZATION];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
