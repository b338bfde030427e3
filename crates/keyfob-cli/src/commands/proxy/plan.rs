//! What a proxy is to be: its routes, addresses, clients and limits, from the arguments and keyfob.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob::Profiles;
use keyfob::profile::{ProxyLimits, ProxyPlace, ProxySettings, RouteSettings};
use keyfob::proxy::{Admission, ClientSecrets, Limits, ListenAddress, Proxy, Route, Subjects};

use crate::commands::proxy::options::ProxyOptions;
use crate::commands::proxy::place::default_socket;
use crate::commands::proxy::users::uid;
use crate::output::error::CliError;

/// Everything that a proxy needs to start, or to go on with after a reload.
pub(super) struct Plan {
    pub(super) proxy: Proxy,
    /// Where to listen. Sockets from systemd are in addition.
    pub(super) listeners: BTreeMap<ListenAddress, RouteChoice>,
    /// Which routes the addresses have that are for all without one of their own.
    pub(super) shared: RouteChoice,
    /// Those routes.
    shared_routes: BTreeSet<String>,
    /// Whether they have no address, so that they get the default one.
    needs_default: bool,
    /// The clients of the routes that are not for all.
    only: BTreeMap<String, Vec<String>>,
    /// Whose token each client uses, on routes with a token for each.
    subjects: BTreeMap<String, Subjects>,
    status: Option<SocketAddr>,
    pub(super) allow_other_machines: bool,
    pub(super) clients: Arc<ClientSecrets>,
    hosts: Vec<String>,
    pub(super) users: Vec<u32>,
    pub(super) access_log: Option<PathBuf>,
    pub(super) drain: Duration,
    pub(super) limits: Limits,
}

/// The routes of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RouteChoice {
    /// All of them, each below a path of its name.
    All,
    /// This one alone.
    One(String),
}

impl Plan {
    /// Reads keyfob.toml and the secrets.
    pub(super) async fn read(options: &ProxyOptions) -> Result<Self, CliError> {
        let profiles = options.config.profiles()?;
        let settings = profiles.proxy().cloned().unwrap_or_default();
        let routes = routes(options, &profiles, &settings)?;
        let shared = ProxyPlace::clone(&settings.place);
        let (socket, listen) = match (&options.socket, options.listen) {
            (None, None) => (shared.socket, shared.listen),
            (socket, listen) => (socket.clone(), listen),
        };
        let mut listeners = BTreeMap::new();
        let mut shared_routes = BTreeSet::new();
        let mut built = Vec::new();
        let mut subjects = BTreeMap::new();
        for (name, route) in &routes {
            built.push(build(name, route, &profiles)?);
            subjects.extend(route.subjects()?.map(|of_route| (name.clone(), of_route)));
            let own = addresses(route.place.socket.clone(), route.place.listen);
            if own.is_empty() {
                shared_routes.insert(name.clone());
            }
            let own = own.into_iter();
            listeners.extend(own.map(|address| (address, RouteChoice::One(name.clone()))));
        }
        // A route that was named alone has the whole address.
        let shared = match options.names().as_slice() {
            [name] => RouteChoice::One((*name).to_owned()),
            _ => RouteChoice::All,
        };
        let places = addresses(socket, listen);
        let needs_default = places.is_empty() && !shared_routes.is_empty();
        if !shared_routes.is_empty() {
            let places = places.into_iter();
            listeners.extend(places.map(|address| (address, shared.clone())));
        }
        let mut clients = settings.clients().await?;
        if let Some(path) = &options.client_secret_file {
            clients.add_file(CLIENT, path)?;
        }
        let only = routes.iter().filter(|(_, route)| !route.clients.is_empty());
        let only = only.map(|(name, route)| (name.clone(), route.clients.clone()));
        let users = settings.users.iter().map(|user| uid(user));
        Ok(Self {
            only: only.collect(),
            subjects,
            users: users.collect::<Result<_, _>>()?,
            proxy: Proxy::new(built)?,
            listeners,
            shared,
            shared_routes,
            needs_default,
            status: options.status_listen.or(settings.status_listen),
            allow_other_machines: options.allow_other_machines || settings.allow_other_machines,
            clients: Arc::new(clients),
            hosts: settings
                .hosts
                .iter()
                .chain(&options.host)
                .cloned()
                .collect(),
            access_log: options.access_log.clone().or(settings.access_log),
            drain: options.drain.or(settings.drain).unwrap_or(DRAIN),
            limits: limits(&settings.limits),
        })
    }

    /// Adds the default socket, if it is needed.
    pub(super) fn add_default_listener(&mut self) -> Result<(), CliError> {
        if self.needs_default {
            let address = ListenAddress::Unix(default_socket()?);
            self.listeners.insert(address, self.shared.clone());
        }
        Ok(())
    }

    pub(super) fn status_address(&self) -> Option<ListenAddress> {
        self.status.map(ListenAddress::Tcp)
    }

    /// Whether a route has no address of its own.
    pub(super) fn is_shared(&self, route: &str) -> bool {
        self.shared_routes.contains(route)
    }

    /// Adds who may use a listener by this plan.
    pub(super) fn admission(&self, mut admission: Admission) -> Result<Admission, CliError> {
        for user in &self.users {
            admission = admission.user(*user);
        }
        for (route, clients) in &self.only {
            admission = admission.only(route, clients);
        }
        for (route, subjects) in &self.subjects {
            admission = admission.subjects(route, subjects.clone());
        }
        for host in &self.hosts {
            admission = admission.host(host)?;
        }
        Ok(admission)
    }
}

/// The routes that the arguments name, or else those of the file.
fn routes(
    options: &ProxyOptions,
    profiles: &Profiles,
    settings: &ProxySettings,
) -> Result<BTreeMap<String, RouteSettings>, CliError> {
    let names = options.names();
    let mut routes = settings.routes.clone();
    if !names.is_empty() {
        let named = names.iter().map(|&name| {
            let route = settings.routes.get(name).cloned();
            (name.to_owned(), route.unwrap_or_else(|| of_profile(name)))
        });
        routes = named.collect();
    }
    if routes.is_empty() {
        return Err(CliError::usage(format!(
            "the proxy has no route; name a profile, as in `keyfob proxy NAME`, or add a table [proxy.routes.NAME] to {}",
            profiles.file()
        )));
    }
    if !options.allow_method.is_empty() || !options.allow_path.is_empty() {
        let [name] = names.as_slice() else {
            return Err(CliError::usage(
                "--allow-method and --allow-path are for one route; name one, or set `methods` and `paths` of each route in keyfob.toml",
            ));
        };
        let route = routes.get_mut(*name).expect("it was named");
        // An empty list would allow everything, also what the file does not.
        if !options.allow_method.is_empty() {
            route.methods.clone_from(&options.allow_method);
        }
        if !options.allow_path.is_empty() {
            route.paths.clone_from(&options.allow_path);
        }
    }
    if options.socket.is_some() || options.listen.is_some() {
        let has_own = |route: &RouteSettings| route.place != ProxyPlace::default();
        if let [name] = names.as_slice() {
            let route = routes.get_mut(*name).expect("it was named");
            route.place = ProxyPlace::default();
        } else if routes.values().all(has_own) {
            return Err(CliError::usage(format!(
                "no route would use the address of --socket or --listen, because each has its own in {}; name one route, or leave the option out",
                profiles.file()
            )));
        }
    }
    Ok(routes)
}

fn of_profile(name: &str) -> RouteSettings {
    let mut route = RouteSettings::default();
    route.profile = name.to_owned();
    route
}

fn build(name: &str, route: &RouteSettings, profiles: &Profiles) -> Result<Route, CliError> {
    let profile = profiles.get(&route.profile)?;
    let mut builder = profile.route_builder()?;
    if route.subjects.is_some() {
        builder = builder.pool(&route.token_pool(profile)?);
    }
    let builder = builder.name(name).methods(route.methods.iter().cloned());
    Ok(builder.paths(route.paths.iter().cloned()).build()?)
}

fn addresses(socket: Option<PathBuf>, listen: Option<SocketAddr>) -> Vec<ListenAddress> {
    let socket = socket.map(ListenAddress::Unix);
    socket
        .into_iter()
        .chain(listen.map(ListenAddress::Tcp))
        .collect()
}

fn limits(settings: &ProxyLimits) -> Limits {
    let mut limits = Limits::default();
    limits.connections = settings.connections.unwrap_or(limits.connections);
    limits.streams = settings.streams.unwrap_or(limits.streams);
    limits.head_bytes = settings.head_bytes.unwrap_or(limits.head_bytes);
    limits.headers = settings.header_fields.unwrap_or(limits.headers);
    limits.idle = settings.idle.unwrap_or(limits.idle);
    limits.first_request = settings.first_request.unwrap_or(limits.first_request);
    limits
}

/// What the client is called whose secret an option names.
pub(super) const CLIENT: &str = "client";

const DRAIN: Duration = Duration::from_secs(30);
